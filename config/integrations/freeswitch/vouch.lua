-- FreeSWITCH 1.10: asks Vouch for the result of this call, waits at most 12 s, and sets the channel variable
-- voice_id_status: authenticated, not-authenticated, inconclusive, not-enrolled, opted-out, pending or error.
-- vouch.xml of this folder calls it. It waits for the leg to Vouch to arrive, too. Without an answer of vouchctl
-- the status is inconclusive: the call goes on.

local uuid = session:getVariable("uuid")
-- A uuid is hexadecimal digits and hyphens; nothing else goes into a shell.
if not uuid:match("^[%x-]+$") then
    return
end

local pipe = io.popen("vouchctl result " .. uuid .. " --wait 12s --format plain 2>/dev/null")
local status = pipe and pipe:read("*l")
if pipe then
    pipe:close()
end
if not status or not status:match("^[a-z-]+$") then
    status = "inconclusive"
end
session:setVariable("voice_id_status", status)
session:consoleLog("info", "voice of " .. uuid .. ": " .. status .. "\n")
