# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_vouchctl_global_optspecs
    string join \n socket= json h/help V/version
end

function __fish_vouchctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_vouchctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_vouchctl_using_subcommand
    set -l cmd (__fish_vouchctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c vouchctl -n "__fish_vouchctl_needs_command" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_needs_command" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -s V -l version -d 'Print version'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "status" -d 'Show the state of the daemon'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "calls" -d 'List the calls in progress'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "call" -d 'Show one call'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "watch" -d 'Show calls as they happen: net speech growing, status changing'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "set-speaker" -d 'Set who the caller of a call claims to be'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "enroll" -d 'Enroll the caller of a call, as soon as there is enough speech'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "evaluate" -d 'Verify the caller of a call from the speech heard so far'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "result" -d 'Print where the verification of a call stands'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "capture" -d 'Begin and end calls on capture devices, for hardware phones'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "speaker" -d 'Show and change what is known of speakers'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "enroll-file" -d 'Enroll a speaker from recordings of the speaker alone (WAV or FLAC)'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "compare" -d 'Compare the voices of two recordings (no daemon needed)'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "trials" -d 'Measure error rates on a list of recordings (no daemon needed)'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "thresholds" -d 'Print the false-accept and false-reject rate of every threshold (no daemon needed)'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "capacity" -d 'Measure how many calls this box carries (no daemon needed)'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "replay" -d 'Hear the calls in a capture file, pcap or pcapng, and say what vouchd would have said (no daemon needed)'
complete -c vouchctl -n "__fish_vouchctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand status" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand status" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand calls" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand calls" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand calls" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand call" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand call" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand call" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand watch" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand watch" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand watch" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand set-speaker" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand set-speaker" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand set-speaker" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand enroll" -l consent -d 'Reference of the speaker\'s consent, kept with the voiceprint' -r
complete -c vouchctl -n "__fish_vouchctl_using_subcommand enroll" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand enroll" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand enroll" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand evaluate" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand evaluate" -l start-new -d 'Forget the speech heard so far and start anew'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand evaluate" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand evaluate" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand result" -l wait -d 'Wait this long for a final result, such as `12s`, and for a call that has yet to begin; then print it as it is' -r
complete -c vouchctl -n "__fish_vouchctl_using_subcommand result" -l format -d 'How to print it: `plain` is the status alone, for dialplans' -r -f -a "plain\t'The status alone on a line'
json\t'The answer of the daemon'
table\t'For people'"
complete -c vouchctl -n "__fish_vouchctl_using_subcommand result" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand result" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand result" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and not __fish_seen_subcommand_from list start stop help" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and not __fish_seen_subcommand_from list start stop help" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and not __fish_seen_subcommand_from list start stop help" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and not __fish_seen_subcommand_from list start stop help" -f -a "list" -d 'List the devices: what they do, and what is wrong with them'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and not __fish_seen_subcommand_from list start stop help" -f -a "start" -d 'Begin a call on a device'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and not __fish_seen_subcommand_from list start stop help" -f -a "stop" -d 'End the call on a device'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and not __fish_seen_subcommand_from list start stop help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from list" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from list" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from start" -l speaker -d 'Who the caller claims to be; whose device it is where not given' -r
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from start" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from start" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from stop" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from stop" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the devices: what they do, and what is wrong with them'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from help" -f -a "start" -d 'Begin a call on a device'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from help" -f -a "stop" -d 'End the call on a device'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capture; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and not __fish_seen_subcommand_from list show opt-out opt-in delete help" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and not __fish_seen_subcommand_from list show opt-out opt-in delete help" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and not __fish_seen_subcommand_from list show opt-out opt-in delete help" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and not __fish_seen_subcommand_from list show opt-out opt-in delete help" -f -a "list" -d 'List the speakers known here'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and not __fish_seen_subcommand_from list show opt-out opt-in delete help" -f -a "show" -d 'Show one speaker'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and not __fish_seen_subcommand_from list show opt-out opt-in delete help" -f -a "opt-out" -d 'Delete the voiceprint and analyse no call of the speaker from now on'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and not __fish_seen_subcommand_from list show opt-out opt-in delete help" -f -a "opt-in" -d 'Take an opt-out back; the speaker can be enrolled again'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and not __fish_seen_subcommand_from list show opt-out opt-in delete help" -f -a "delete" -d 'Forget the speaker; the voiceprint cannot be read any more, in backups neither'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and not __fish_seen_subcommand_from list show opt-out opt-in delete help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from list" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from list" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from show" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from show" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from opt-out" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from opt-out" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from opt-out" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from opt-in" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from opt-in" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from opt-in" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from delete" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from delete" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the speakers known here'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one speaker'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from help" -f -a "opt-out" -d 'Delete the voiceprint and analyse no call of the speaker from now on'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from help" -f -a "opt-in" -d 'Take an opt-out back; the speaker can be enrolled again'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from help" -f -a "delete" -d 'Forget the speaker; the voiceprint cannot be read any more, in backups neither'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand speaker; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand enroll-file" -l consent -d 'Reference of the speaker\'s consent, kept with the voiceprint' -r
complete -c vouchctl -n "__fish_vouchctl_using_subcommand enroll-file" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand enroll-file" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand enroll-file" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand compare" -l threshold -d 'Score from which the voices count as one' -r
complete -c vouchctl -n "__fish_vouchctl_using_subcommand compare" -l calibration -d 'Score by this calibration instead of the shipped one' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand compare" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand compare" -l narrowband -d 'Hear wideband recordings as a telephone would'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand compare" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand compare" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -l root -d 'Folder that the files of the list are relative to' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -l scores -d 'Write the list with the score of every trial to this file' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -l enroll-speech -d 'Most seconds of net speech used for an enrollment' -r
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -l test-speech -d 'Most seconds of net speech used for a test' -r
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -l threshold -d 'Score from which the voices of a trial count as one' -r
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -l calibration -d 'Score by this calibration instead of the shipped one' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -l calibrate -d 'Make a calibration of these trials, write it to this new file, and print what it changes' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -l narrowband -d 'Hear wideband recordings as a telephone would'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand trials" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand thresholds" -l calibration -d 'Print the rates of this calibration instead of the shipped one' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand thresholds" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand thresholds" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand thresholds" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capacity" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capacity" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand capacity" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand replay" -l config -d 'Configuration to go by, such as /etc/vouch/vouchd.toml; the defaults where it is not given' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand replay" -l enroll -d 'Enroll speaker ID from a recording first (WAV or FLAC); kept for this replay only. May be repeated' -r
complete -c vouchctl -n "__fish_vouchctl_using_subcommand replay" -l speaker -d 'Take every caller to claim this speaker id; otherwise the signalling says who calls' -r
complete -c vouchctl -n "__fish_vouchctl_using_subcommand replay" -l socket -d 'Socket of the daemon' -r -F
complete -c vouchctl -n "__fish_vouchctl_using_subcommand replay" -l json -d 'Print JSON, errors as well (on standard error)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand replay" -s h -l help -d 'Print help'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "status" -d 'Show the state of the daemon'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "calls" -d 'List the calls in progress'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "call" -d 'Show one call'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "watch" -d 'Show calls as they happen: net speech growing, status changing'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "set-speaker" -d 'Set who the caller of a call claims to be'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "enroll" -d 'Enroll the caller of a call, as soon as there is enough speech'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "evaluate" -d 'Verify the caller of a call from the speech heard so far'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "result" -d 'Print where the verification of a call stands'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "capture" -d 'Begin and end calls on capture devices, for hardware phones'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "speaker" -d 'Show and change what is known of speakers'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "enroll-file" -d 'Enroll a speaker from recordings of the speaker alone (WAV or FLAC)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "compare" -d 'Compare the voices of two recordings (no daemon needed)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "trials" -d 'Measure error rates on a list of recordings (no daemon needed)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "thresholds" -d 'Print the false-accept and false-reject rate of every threshold (no daemon needed)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "capacity" -d 'Measure how many calls this box carries (no daemon needed)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "replay" -d 'Hear the calls in a capture file, pcap or pcapng, and say what vouchd would have said (no daemon needed)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and not __fish_seen_subcommand_from status calls call watch set-speaker enroll evaluate result capture speaker enroll-file compare trials thresholds capacity replay help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and __fish_seen_subcommand_from capture" -f -a "list" -d 'List the devices: what they do, and what is wrong with them'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and __fish_seen_subcommand_from capture" -f -a "start" -d 'Begin a call on a device'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and __fish_seen_subcommand_from capture" -f -a "stop" -d 'End the call on a device'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and __fish_seen_subcommand_from speaker" -f -a "list" -d 'List the speakers known here'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and __fish_seen_subcommand_from speaker" -f -a "show" -d 'Show one speaker'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and __fish_seen_subcommand_from speaker" -f -a "opt-out" -d 'Delete the voiceprint and analyse no call of the speaker from now on'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and __fish_seen_subcommand_from speaker" -f -a "opt-in" -d 'Take an opt-out back; the speaker can be enrolled again'
complete -c vouchctl -n "__fish_vouchctl_using_subcommand help; and __fish_seen_subcommand_from speaker" -f -a "delete" -d 'Forget the speaker; the voiceprint cannot be read any more, in backups neither'
