-- FreeSWITCH 1.10: has Vouch hear this call, asks it for the result, at most 20 s long, and sets the channel variable
-- voice_id_status: authenticated, not-authenticated, inconclusive, not-enrolled, opted-out, pending or error.
-- vouch.xml of this folder calls it, and says what was tested.

local vouch = "sip:listen@127.0.0.1:5090"
local longest = 20 -- seconds; 10 s of speech take about 15 s of talk

-- The call goes on in the dialplan when this script ends.
session:setAutoHangup(false)

-- What a caller writes goes into a command: of the number, only what numbers and names are made of.
local uuid = session:getVariable("uuid"):gsub("[^%x-]", "")
local claim = (session:getVariable("caller_id_number") or ""):gsub("[^%w+._-]", "")

-- In the background a leg to Vouch, which hears what the caller says (read stream) and nothing else. It goes by
-- the caller's uuid, and claims the caller's number.
freeswitch.API():executeString("bgapi originate {ignore_early_media=true"
    .. ",origination_caller_id_number=" .. claim
    .. ",sip_h_X-Voice-ID-Call=" .. uuid
    .. ",sip_h_X-Voice-ID-Speaker=" .. claim
    .. ",eavesdrop_enable_dtmf=false,eavesdrop_bridge_aleg=true,eavesdrop_bridge_bleg=false"
    .. "}sofia/external/" .. vouch .. " &eavesdrop(" .. uuid .. ")")

-- The status, alone on a line; nothing before Vouch knows the call, and when vouchctl fails.
local function ask()
    local pipe = io.popen("vouchctl result " .. uuid .. " --format plain 2>/dev/null")
    local status = pipe and pipe:read("*l")
    if pipe then
        pipe:close()
    end
    return status and status:match("^[a-z-]+$")
end

-- Asks twice a second: FreeSWITCH hears the caller in between, but not while it waits for a program, so
-- `vouchctl result --wait` would wait in vain.
local status
for _ = 1, 2 * longest do
    session:sleep(500)
    status = ask()
    if not session:ready() or (status and status ~= "pending") then
        break
    end
end

-- Without an answer the call goes on, too.
session:setVariable("voice_id_status", status or "inconclusive")
