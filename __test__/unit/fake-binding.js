'use strict'

const { stringify } = JSON

/**
 * An addon without a network. It records its calls in `calls`, answers from `outcomes`, and
 * delivers what the test adds with `push`, with filters and rewinds like the real one.
 */
function fakeBinding() {
  const binding = { last: null, routeTo: () => '127.0.0.1', random }
  binding.NativeNode = class NativeNode extends FakeNative {
    constructor(doorbell) {
      super(doorbell)
      binding.last = this
    }
  }
  return binding
}

function random() {
  return Math.floor(Math.random() * 2 ** 48)
}

/** The first handle of a member. The filter of the last handle holds for all members. */
const MEMBERS = 2 ** 31
const DIRECT = 2 ** 32 - 1
/** The end of a chunk, in messages. */
const CHUNK = 100
/** The same in bytes of messages, as the real one has it. */
const CHUNK_BYTES = 4 << 20

class FakeNative {
  calls = []
  /** The successive results of `emit`, `emitRich`, `write` and `line`; then 0. */
  outcomes = []
  /** The members of each `emitTo`. */
  together = []
  /** How often the queue was drained, and rewound. */
  drains = 0
  rewinds = 0
  filters = new Map()
  #doorbell
  #queue = []
  #marks = []
  #buffers = []
  #isAwake = false

  constructor(doorbell) {
    this.#doorbell = doorbell
  }

  /**
   * Puts in notices (objects), and messages as [channel, message]: an array is an event, a string
   * a stream chunk, {line} a raw line, {rich, attachments} an event with attachments.
   */
  push(...entries) {
    this.#queue.push(...entries)
    if (this.#isAwake) return
    this.#isAwake = true
    setImmediate(this.#doorbell)
  }

  drain() {
    this.drains++
    this.#queue.splice(0, this.#marks.at(-1) ?? 0)
    this.#marks = []
    this.#buffers = []
    const [kinds, runs, values] = [[], [], []]
    let bytes = 0
    this.hasPassedOver = false
    for (const [index, entry] of this.#queue.entries()) {
      if (this.#marks.length >= CHUNK || bytes >= CHUNK_BYTES) break
      if (Array.isArray(entry) && !this.#isWanted(...entry)) {
        this.hasPassedOver = true
        continue
      }
      if (typeof entry[1] === 'string') bytes += entry[1].length
      const { kind, listed } = Array.isArray(entry)
        ? this.#listed(...entry)
        : { kind: [0, 0, 1], listed: [entry] }
      values.push(...listed)
      // A run ends with each change of kind, and a kind is listed again for each run.
      if (kinds.slice(-3).join() !== kind.join()) {
        runs.push(kinds.length / 3, 0)
        kinds.push(...kind)
      }
      runs[runs.length - 1]++
      this.#marks.push(index + 1)
      if (entry.t === 'add') break
    }
    if (runs.length > 0) return stringify([kinds, runs, values])
    this.#queue = []
    this.#isAwake = false
    return null
  }

  rewind(consumed) {
    this.rewinds++
    this.#marks.length = consumed
  }

  take() {
    return this.#buffers
  }

  listen(channel, name) {
    this.filters.get(channel)?.names?.push(name)
    return this.hasPassedOver
  }

  unlisten(channel, names) {
    const filter = this.filters.get(channel)
    if (filter?.names) filter.names = filter.names.filter((name) => !names.includes(name))
  }

  setFilter(channel, names, flags) {
    this.filters.set(channel, { names, flags })
  }

  start(config) {
    this.filters.clear()
    this.calls.push(['start', config])
  }

  stop() {
    this.calls.push(['stop'])
  }

  rest() {}

  setBody(body) {
    this.calls.push(['setBody', body])
  }

  reconfigure(...args) {
    this.calls.push(['reconfigure', ...args])
  }

  addPeer(...args) {
    this.calls.push(['addPeer', ...args])
  }

  hold(channel) {
    this.calls.push(['hold', channel])
  }

  read(channel, bytes) {
    this.calls.push(['read', channel, bytes])
  }

  closePeer(handle) {
    this.calls.push(['closePeer', handle])
  }

  emit(channel, text) {
    return this.#answer('emit', channel, text)
  }

  emitBytes(channel, buffer, length) {
    return this.emit(channel, buffer.toString('utf8', 0, length))
  }

  emitRich(channel, json, attachments) {
    return this.#answer('emitRich', channel, json, attachments.map(String))
  }

  /** Answers for each member; none of them gets it if one is overloaded. */
  emitTo(members, json, attachments) {
    this.together.push([...members])
    const outcomes = [...members].map(() => this.outcomes.shift() ?? 0)
    if (outcomes.includes(2)) return []
    const more = attachments === undefined ? [] : [attachments.map(String)]
    for (const member of members) {
      this.calls.push([attachments === undefined ? 'emit' : 'emitRich', member, json, ...more])
    }
    return outcomes
  }

  write(channel, chunk) {
    return this.#answer('write', channel, String(chunk))
  }

  /** Gives one result for the whole run, and records each message. */
  emitRun(channel, kind, count, buffer, length) {
    const outcome = this.outcomes.shift() ?? 0
    const parts = partsOf(buffer.subarray(0, length))
    if (parts.length !== count) throw new Error(`${parts.length} messages, not ${count}`)
    for (const part of parts) {
      const [json, ...attachments] = kind === 1 ? [part] : partsOf(part)
      const more = kind === 1 ? [] : [attachments.map(String)]
      this.calls.push([kind === 1 ? 'write' : 'emitRich', channel, String(json), ...more])
    }
    return outcome
  }

  line(channel, text) {
    return this.#answer('line', channel, text)
  }

  stats() {
    return '{"peers":0}'
  }

  /** The messages sent since the last call. */
  sent() {
    const sent = this.calls.filter(([call]) => ['emit', 'emitRich', 'write', 'line'].includes(call))
    this.calls = []
    return sent
  }

  #answer(...call) {
    this.calls.push(call)
    return this.outcomes.shift() ?? 0
  }

  #isWanted(channel, message) {
    const filter = this.filters.get(channel < MEMBERS ? channel : DIRECT)
    if (filter === undefined) return true
    if (typeof message === 'string') return (filter.flags & 1) !== 0
    if (message.line !== undefined) return (filter.flags & 2) !== 0
    const [name] = message.rich ?? message
    return filter.names === null || filter.names.includes(name)
  }

  /** The kind of a message, and its values. */
  #listed(channel, message) {
    if (typeof message === 'string') {
      return { kind: [channel, null, 3], listed: this.#place(message) }
    }
    if (message.line !== undefined) return { kind: [channel, 1, 1], listed: [message.line] }
    const [event, ...args] = message.rich ?? message
    if (message.rich === undefined) return { kind: [channel, event, args.length], listed: args }
    const places = message.attachments.flatMap((text) => this.#place(text))
    const listed = [message.attachments.length, ...places, ...args]
    return { kind: [channel, event, -1 - args.length], listed }
  }

  /** Short messages share the first buffer. */
  #place(text) {
    const bytes = Buffer.from(text)
    if (this.#buffers.length === 0) this.#buffers.push(Buffer.alloc(0))
    if (bytes.length > 100) return [this.#buffers.push(bytes) - 1, 0, bytes.length]
    const [shared] = this.#buffers
    this.#buffers[0] = Buffer.concat([shared, bytes])
    return [0, shared.length, bytes.length]
  }
}

/** The parts of `bytes`, each after its length. */
function partsOf(bytes) {
  const parts = []
  for (let at = 0; at < bytes.length; ) {
    const start = at + 4
    at = start + bytes.readUInt32BE(at)
    parts.push(bytes.subarray(start, at))
  }
  return parts
}

module.exports = { fakeBinding }
