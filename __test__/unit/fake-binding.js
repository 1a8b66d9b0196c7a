'use strict'

const { stringify } = JSON

/**
 * An addon without a network: records what it is told in `calls`, answers as `outcomes` says, and
 * delivers what the test puts in with `push`, with filters and rewinds like the real one.
 */
function fakeBinding() {
  const binding = { last: null, routeTo: () => null }
  binding.NativeNode = class NativeNode extends FakeNative {
    constructor(doorbell) {
      super(doorbell)
      binding.last = this
    }
  }
  return binding
}

/** From here on, handles are members'; what is listened for on the last one holds for all of them. */
const MEMBERS = 2 ** 31
const DIRECT = 2 ** 32 - 1
/** What ends a chunk, in items and arguments of lists. */
const CHUNK = 100

class FakeNative {
  calls = []
  /** What `emit`, `emitRich`, `write` and `line` return, one after the other; then 0. */
  outcomes = []
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
    const items = []
    let channel
    let list = null
    this.hasPassedOver = false
    for (const [index, entry] of this.#queue.entries()) {
      if (this.#marks.length >= CHUNK) break
      if (!Array.isArray(entry)) {
        list = null
        items.push(entry)
        this.#marks.push(index + 1)
        if (entry.t === 'add') break
        continue
      }
      if (!this.#isWanted(...entry)) {
        this.hasPassedOver = true
        continue
      }
      if (entry[0] !== channel) {
        channel = entry[0]
        list = null
        items.push(channel)
        this.#marks.push(this.#marks.at(-1) ?? 0)
      }
      const item = this.#item(entry[1])
      if (Array.isArray(item)) {
        // Consecutive events of one name stand as the name, their number of arguments and a list.
        const [event, ...args] = item
        if (list?.event !== event || list.arity !== args.length) {
          list = { event, arity: args.length, args: [] }
          items.push(event, list.arity, list.args)
          this.#marks.push(this.#marks.at(-1))
        }
        list.args.push(...(list.arity === 0 ? [0] : args))
      } else {
        list = null
        items.push(item)
      }
      this.#marks.push(index + 1)
    }
    if (items.length > 0) return stringify(items)
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

  write(channel, chunk) {
    return this.#answer('write', channel, String(chunk))
  }

  line(channel, text) {
    return this.#answer('line', channel, text)
  }

  stats() {
    return '{"peers":0}'
  }

  /** What was sent since this was last asked. */
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

  #item(message) {
    const n = this.#buffers.length
    if (typeof message === 'string') {
      this.#buffers.push(Buffer.from(message))
      return { t: 'chunk', n }
    }
    if (message.line !== undefined) return { t: 'line', d: message.line }
    if (message.rich === undefined) return message
    this.#buffers.push(...message.attachments.map((text) => Buffer.from(text)))
    return { t: 'rich', e: message.rich, n, k: message.attachments.length }
  }
}

module.exports = { fakeBinding }
