//! Who may talk to us: the configured addresses and networks.

use std::net::IpAddr;
use std::str::FromStr;

/// An address or a network, such as `192.0.2.7`, `10.0.0.0/8` or `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The part before the slash.
    #[error("`{0}` is no IP address")]
    Address(String),
    /// The part behind it.
    #[error("`/{prefix}` is no prefix length; {address} has at most {most} bits")]
    Prefix {
        /// As given.
        prefix: String,
        /// The address before it.
        address: IpAddr,
        /// Bits of such an address.
        most: u8,
    },
}

impl Network {
    /// Whether `address` lies in the network. IPv4 addresses mapped into IPv6 count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(u32::from(32 - self.prefix)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(u32::from(128 - self.prefix)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address(address.to_owned()))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let Some(prefix) = prefix else {
            return Ok(Self { address, prefix: most });
        };
        match prefix.parse() {
            Ok(bits) if bits <= most => Ok(Self { address, prefix: bits }),
            _ => Err(NetworkError::Prefix { prefix: prefix.to_owned(), address, most }),
        }
    }
}

/// All configured networks; none means that nobody may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers(Vec<Network>);

impl Peers {
    /// Peers in `networks`.
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Whether `address` is one of them.
    pub fn allow(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_what_they_should() {
        let cases = [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
        ];
        for (text, address, expected) in cases {
            assert_eq!(network(text).contains(address.parse().unwrap()), expected, "{text} {address}");
        }
    }

    #[test]
    fn nobody_is_allowed_by_default() {
        assert!(!Peers::default().allow("127.0.0.1".parse().unwrap()));
        let peers = Peers::new([network("127.0.0.0/8"), network("::1")]);
        assert!(peers.allow("127.3.2.1".parse().unwrap()) && peers.allow("::1".parse().unwrap()));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let error = |text: &str| text.parse::<Network>().unwrap_err().to_string();
        assert_eq!(error("pbx.example.com"), "`pbx.example.com` is no IP address");
        assert_eq!(error("10.0.0.0/33"), "`/33` is no prefix length; 10.0.0.0 has at most 32 bits");
        assert_eq!(error("::/x"), "`/x` is no prefix length; :: has at most 128 bits");
    }

    proptest! {
        #[test]
        fn a_prefix_compares_that_many_bits(network: u32, address: u32, prefix in 0u8..=32) {
            let held = Network { address: IpAddr::V4(network.into()), prefix }.contains(IpAddr::V4(address.into()));
            let equal = (0..u32::from(prefix)).all(|bit| (network ^ address) & (0x8000_0000 >> bit) == 0);
            prop_assert_eq!(held, equal);
        }
    }
}
