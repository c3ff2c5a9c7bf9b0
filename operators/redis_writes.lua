-- Applies a batch of writes (schemas/writes.py), each of them only if nothing newer is there.
-- ARGV: the key prefix, the lifetime of a tombstone in ms, the length of a popularity list, then the packed writes.
-- Returns {applied, older}. A write that fails raises an error that names its key; those before it stay, and may be repeated.
-- Keys are made here, not declared: this script is for one server or a primary with replicas, not for a sharded cluster.
local PROFILE, TOMBSTONE, SIMILAR, POPULAR, META, PUBLISHED, MODEL, POPULATION, EXPERIMENT = 0, 1, 2, 3, 4, 5, 6, 7, 8
local HEADER_BYTES, HEADER = 38, '>I4I4'
local prefix, tombstone_ttl_ms, most_popular = ARGV[1], ARGV[2], tonumber(ARGV[3])
local applied, older = 0, 0

local function call(key, command, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    error({ err = reply.err .. ' (' .. command .. ' ' .. key .. ')' }, 0)
  end
  return reply
end

-- Doubles hold no 64-bit integer exactly, so the two halves are compared one after the other.
local function older_than(value, stored)
  for _, place in ipairs({ 13, 31 }) do
    local high, low = struct.unpack(HEADER, value, place)
    local stored_high, stored_low = struct.unpack(HEADER, stored, place)
    if high ~= stored_high then return high < stored_high end
    if low ~= stored_low then return low < stored_low end
  end
  return false
end

local function put(key, value)
  local stored = call(key, 'GETRANGE', 0, HEADER_BYTES - 1)
  if #stored == HEADER_BYTES and older_than(value, stored) then return false end
  if #value > HEADER_BYTES then
    call(key, 'SET', value)
  else
    call(key, 'SET', value, 'PX', tombstone_ttl_ms)
  end
  return true
end

local function leave(customer, names)
  for _, name in ipairs(names) do
    call(prefix .. 'segment:' .. name, 'ZREM', customer)
  end
end

local function enter(customer, since)
  for i = 1, #since, 2 do
    call(prefix .. 'segment:' .. since[i], 'ZADD', string.format('%.0f', since[i + 1]), customer)
  end
end

local function put_with_members(kind, customer, value, since, others)
  if not put(prefix .. kind .. customer, value) then return false end
  if since then
    enter(customer, since)
    leave(customer, others)
  end
  return true
end

local write = {
  [PROFILE] = function(...)
    return put_with_members('profile:', ...)
  end,

  [POPULATION] = function(...)
    return put_with_members('population:', ...)
  end,

  [TOMBSTONE] = function(customer, value, names)
    if not put(prefix .. 'profile:' .. customer, value) then return false end
    -- a job that has no population any more has nobody else to withdraw this; one that has, withdraws it once more
    call(prefix .. 'population:' .. customer, 'DEL')
    leave(customer, names)
    return true
  end,

  [SIMILAR] = function(relation_item, value)
    return put(prefix .. 'similar:' .. relation_item, value)
  end,

  [POPULAR] = function(scope, item, version, score)
    local list, versions = prefix .. 'popular:' .. scope, prefix .. 'popular-versions:' .. scope
    local stored = call(versions, 'HGET', item)
    if stored and version < tonumber(stored) then return false end
    call(versions, 'HSET', item, string.format('%.0f', version))
    if score > 0 then
      call(list, 'ZADD', string.format('%.17g', score), item)
    else
      call(list, 'ZREM', item)
    end
    local surplus = call(list, 'ZCARD') - most_popular
    if surplus > 0 then
      for i, name in ipairs(call(list, 'ZPOPMIN', surplus)) do
        if i % 2 == 1 then call(versions, 'HDEL', name) end
      end
    end
    return true
  end,

  [META] = function(as_of_ms, fields)
    local key = prefix .. 'meta'
    local stored = call(key, 'HGET', 'as_of_ms')
    if stored and as_of_ms < tonumber(stored) then return false end
    call(key, 'HSET', 'as_of_ms', string.format('%.0f', as_of_ms), unpack(fields))
    return true
  end,

  [PUBLISHED] = function(control_id, as_of_ms)
    call(prefix .. 'published:' .. control_id, 'SET', string.format('%.0f', as_of_ms), 'PX', tombstone_ttl_ms)
    return true
  end,

  [MODEL] = function(name, value)
    return put(prefix .. 'model:' .. name, value)
  end,

  [EXPERIMENT] = function(name, value)
    return put(prefix .. 'experiment:' .. name, value)
  end,
}

for i = 4, #ARGV do
  local packed = cmsgpack.unpack(ARGV[i])
  if write[packed[1]](packed[2], packed[3], packed[4], packed[5]) then
    applied = applied + 1
  else
    older = older + 1
  end
end
return { applied, older }
