"""Which messages of a stream are not settled, and which settled ones may be removed.

The last settled messages stay in the stream (HEARTH_STREAM_KEEP_MESSAGES), for people who look into it, so its length is not the number of
messages that wait.
"""

from collections import deque

# Everything but `keep` messages counts at least: settled messages behind one that is not settled cannot be removed, and take memory.
# Without a lag, which the server cannot tell after XDEL, every message counts; `StreamConsumer.trim` then keeps no settled ones.
UNSETTLED = """
local function unsettled(key, keep)
    local length = redis.call('XLEN', key)
    local groups = length > 0 and redis.call('XINFO', 'GROUPS', key) or {}
    if #groups == 0 then return length end
    local count = length - keep
    for _, group in ipairs(groups) do
        local info = {}
        for i = 1, #group, 2 do info[group[i]] = group[i + 1] end
        if not info.lag then return length end
        count = math.max(count, info.lag + info.pending)
    end
    return count
end
"""
COUNT_UNSETTLED = f"{UNSETTLED} return unsettled(KEYS[1], tonumber(ARGV[1]))"
# While nothing is pending, the stream consists of settled messages followed by unread ones.
TRIM_IDLE = """
local unread = 0
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local info = {}
    for i = 1, #group, 2 do info[group[i]] = group[i + 1] end
    if info.pending > 0 or not info.lag then return end
    unread = math.max(unread, info.lag)
end
redis.call('XTRIM', KEYS[1], 'MAXLEN', unread + ARGV[1])
"""

MessageId = tuple[int, int]


class KeepWindow:
    """Finds the id up to which a busy stream may be trimmed so that its last `keep` settled messages stay.

    No command returns the nth message of a stream without its content, so this remembers the count of settled messages over time.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._marks: deque[tuple[int, MessageId]] = deque()  # the number of settled messages, and the first unsettled id at that time

    def cut(self, settled: int, first_unsettled: MessageId) -> MessageId | None:
        """Note the state of the stream; return the id before which all messages may go, None if none may.

        `settled` is the number of messages that were settled since the stream was created.
        """
        if self._marks and settled < self._marks[-1][0]:  # another stream of this name
            self._marks.clear()
        if not self._marks or settled > self._marks[-1][0]:
            self._marks.append((settled, first_unsettled))
        cut = None
        while self._marks and self._marks[0][0] + self._keep <= settled:
            cut = self._marks.popleft()[1]
        return cut
