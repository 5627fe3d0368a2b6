-- A reservation in Redis: all lines or none.
--
-- KEYS: the sorted set of deadlines, the new hold, then a cell for each line
-- ARGV: now (ms), the deadline (ms), then a quantity for each line
--
-- A cell is a hash of on_hand and held; a hold is a hash of its cells with their quantities. It answers 0, or the number of
-- the first line that too little is left of.

-- Holds that are over give back what they hold, a few at each reservation, so that none waits for a sweeper.
for _, hold in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, 10)) do
  local lines = redis.call('HGETALL', hold)
  for i = 1, #lines, 2 do
    redis.call('HINCRBY', lines[i], 'held', -tonumber(lines[i + 1]))
  end
  redis.call('DEL', hold)
  redis.call('ZREM', KEYS[1], hold)
end

local asked = {}
for i = 3, #KEYS do
  local cell = redis.call('HMGET', KEYS[i], 'on_hand', 'held')
  asked[KEYS[i]] = (asked[KEYS[i]] or 0) + tonumber(ARGV[i])
  if not cell[1] or tonumber(cell[1]) - tonumber(cell[2]) < asked[KEYS[i]] then
    return i - 2
  end
end
for i = 3, #KEYS do
  redis.call('HINCRBY', KEYS[i], 'held', ARGV[i])
  redis.call('HINCRBY', KEYS[2], KEYS[i], ARGV[i])
end
redis.call('ZADD', KEYS[1], ARGV[2], KEYS[2])
return 0
