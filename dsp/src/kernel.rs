//! Integer kernels of the network.
