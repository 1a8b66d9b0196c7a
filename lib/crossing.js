'use strict'

const { AsyncResource } = require('node:async_hooks')
const { setFilter, receive, receiveChunk, receiveLine } = require('./symbols')
const { attach } = require('./attachments')
const { nextTick, now, parse, queueMicrotask, setImmediate } = require('./globals')

/** Bounds on the work of one turn of the event loop. */
const MAX_CHUNKS = 8
const MAX_MS = 10
/** How many quick messages are dispatched between two checks of the clock. */
const CLOCK_EVERY = 32
/** After messages that take this long, in ms, the clock is checked more often. */
const SLOW = 1
/** The names of kinds that are no events (src/binding/chunk.rs); that of stream chunks is null. */
const NOTICE = 0
const LINE = 1
/** Buffers of at most this size may be shared by several messages (src/binding/parcel.rs). */
const SHARED = 16 * 1024

/**
 * Connects a node with the addon.
 *
 * Inward: the addon rings a doorbell when it has something. We drain chunks of JSON text until
 * nothing is left, and dispatch their messages to the channels, or to `onNotice`. A handler that
 * throws does not stop us: its error becomes an uncaught exception, and we go on in the next turn.
 *
 * The addon drops messages without a listener. So channels report here when listeners are added or
 * removed. After an addition, messages that were drained under the old filter are rewound and
 * drained again. A removal can wait until the end of the turn.
 */
class Crossing {
  #native
  #onNotice
  #channels = new Map()
  // Channels whose filter in the addon differs from their listeners.
  #changed = new Set()
  // A listener was added after the current messages were filtered.
  #isStale = false
  // The current chunk (src/binding/chunk.rs): its lists, and the next run and value. The values are
  // null if there is no chunk.
  #kinds = null
  #runs = null
  #values = null
  #nextRun = 0
  #nextValue = 0
  // The current run: how many messages are left, their channel, name, and number of values.
  #left = 0
  #channel = undefined
  #event = ''
  #arity = 0
  // The number of dispatched messages.
  #consumed = 0
  #buffers = null
  // Messages until the next check of the clock, and messages between two checks.
  #clockIn = CLOCK_EVERY
  #clockEvery = CLOCK_EVERY
  #lookedAt = 0
  // Listeners run in the context that created the node, whatever thread or path delivers.
  #context = new Context('SMOKESIGNAL_NODE')
  #drain = () => this.#work()
  #sync = () => this.#setFilters()

  constructor(NativeNode, onNotice) {
    this.#onNotice = onNotice
    // The addon keeps its doorbell alive. The doorbell must not keep the node alive.
    const weak = new WeakRef(this)
    this.#native = new NativeNode(() => weak.deref()?.#work())
  }

  get native() {
    return this.#native
  }

  /** Calls one of our methods in the context of the node's listeners. */
  run(method) {
    return this.#context.runInAsyncScope(method, this)
  }

  /** Drains what the addon has queued without ringing. */
  wake() {
    setImmediate(this.#drain)
  }

  /** From now on, dispatches messages of `handle` to `channel`. */
  attach(handle, channel) {
    this.#channels.set(handle, channel)
    this.#change(channel)
  }

  /** Stops dispatching messages of `handle`. */
  detach(handle) {
    const channel = this.#channels.get(handle)
    this.#channels.delete(handle)
    this.#changed.delete(channel)
    if (this.#channel === channel) this.#channel = undefined
  }

  /** The channel of `handle`, if it is attached. */
  channel(handle) {
    return this.#channels.get(handle)
  }

  /** `channel` has a new listener, which must get everything that is not dispatched yet. */
  widen(handle) {
    const channel = this.#channels.get(handle)
    if (channel === undefined) return
    this.#native.setFilter(handle, null, 3)
    if (this.#values !== null) this.#isStale = true
    this.#change(channel)
  }

  /** The channel of `handle` listens for `name`, too. Rewinds if messages were filtered out. */
  listen(handle, name) {
    if (!this.#channels.has(handle)) return
    if (this.#native.listen(handle, name) && this.#values !== null) this.#isStale = true
  }

  /** A listener of `channel` was removed. */
  narrow(handle) {
    const channel = this.#channels.get(handle)
    if (channel !== undefined) this.#change(channel)
  }

  #change(channel) {
    if (this.#changed.size === 0) queueMicrotask(this.#sync)
    this.#changed.add(channel)
  }

  #setFilters() {
    for (const channel of this.#changed) channel[setFilter](this.#native)
    this.#changed.clear()
  }

  #work() {
    try {
      if (this.run(this.#workOff)) return
    } catch (error) {
      nextTick(rethrow, error)
    }
    setImmediate(this.#drain)
  }

  /** Returns true if nothing is left, and false once the turn's budget is used up. */
  #workOff() {
    this.#lookedAt = now()
    const deadline = this.#lookedAt + MAX_MS
    for (let chunks = 0; chunks < MAX_CHUNKS; chunks++) {
      if (this.#values === null && !this.#fetch()) return true
      if (!this.#dispatch(deadline)) {
        // Rewound messages do not count as consumed: senders wait for them.
        if (this.#values !== null) this.#rewind()
        return false
      }
    }
    return false
  }

  #fetch() {
    this.#setFilters()
    const text = this.#native.drain()
    if (text === null) return false
    const [kinds, runs, values] = parse(text)
    this.#kinds = kinds
    this.#runs = runs
    this.#values = values
    this.#nextRun = 0
    this.#nextValue = 0
    this.#left = 0
    this.#consumed = 0
    this.#buffers = null
    return true
  }

  /** Dispatches the current chunk. Returns false if the time was too short for all of it. */
  #dispatch(deadline) {
    const runs = this.#runs
    while (this.#left > 0 || this.#nextRun < runs.length) {
      if (this.#isStale) return this.#rewind()
      if (this.#left === 0) this.#beginRun()
      this.#left--
      this.#consumed++
      this.#dispatchNext()
      if (--this.#clockIn <= 0 && this.#isLate(deadline)) return false
    }
    if (this.#isStale) return this.#rewind()
    this.#values = null
    return now() <= deadline
  }

  /** Checks the clock, and sets the next check: handlers may be slow. */
  #isLate(deadline) {
    const time = now()
    const took = time - this.#lookedAt
    this.#lookedAt = time
    if (took > SLOW) this.#clockEvery = Math.max(1, this.#clockEvery >> 2)
    else if (this.#clockEvery < CLOCK_EVERY) this.#clockEvery *= 2
    this.#clockIn = this.#clockEvery
    return time > deadline
  }

  #beginRun() {
    const kinds = this.#kinds
    const at = 3 * this.#runs[this.#nextRun++]
    this.#left = this.#runs[this.#nextRun++]
    this.#channel = this.#channels.get(kinds[at])
    this.#event = kinds[at + 1]
    this.#arity = kinds[at + 2]
  }

  #dispatchNext() {
    const event = this.#event
    if (typeof event !== 'string') return this.#dispatchOther(event)
    const arity = this.#arity
    if (arity < 0) return this.#dispatchRich()
    const values = this.#values
    const channel = this.#channel
    const at = this.#nextValue
    this.#nextValue += arity
    if (channel === undefined) return
    switch (arity) {
      case 0:
        return channel[receive](event)
      case 1:
        return channel[receive](event, values[at])
      case 2:
        return channel[receive](event, values[at], values[at + 1])
      case 3:
        return channel[receive](event, values[at], values[at + 1], values[at + 2])
      default:
        channel[receive](event, ...values.slice(at, at + arity))
    }
  }

  /** Dispatches an event with attachments. */
  #dispatchRich() {
    const values = this.#values
    const attachments = []
    for (let left = values[this.#nextValue++]; left > 0; left--) attachments.push(this.#cut())
    const first = this.#nextValue
    this.#nextValue += -1 - this.#arity
    const args = values.slice(first, this.#nextValue)
    this.#channel?.[receive](this.#event, ...attach(args, attachments))
  }

  /** Dispatches a chunk, a line or a notice. */
  #dispatchOther(kind) {
    if (kind === null) {
      const chunk = this.#cut()
      this.#channel?.[receiveChunk](chunk)
      return
    }
    const value = this.#values[this.#nextValue++]
    if (kind === NOTICE) this.#onNotice(value)
    else if (kind === LINE) this.#channel?.[receiveLine](value)
  }

  /** The bytes at the next place. */
  #cut() {
    const values = this.#values
    const at = this.#nextValue
    this.#nextValue += 3
    this.#buffers ??= this.#takeBuffers()
    const buffer = this.#buffers[values[at]]
    const start = values[at + 1]
    const length = values[at + 2]
    return length === buffer.length ? buffer : buffer.subarray(start, start + length)
  }

  #takeBuffers() {
    const buffers = this.#native.take()
    // Transferring a shared buffer with one message would take it from other messages' owners.
    for (const { buffer } of buffers) {
      if (buffer.byteLength <= SHARED) markAsUntransferable(buffer)
    }
    return buffers
  }

  #rewind() {
    this.#isStale = false
    this.#native.rewind(this.#consumed)
    this.#values = null
    return true
  }
}

/** Tools that list open handles ask whether this is one. */
class Context extends AsyncResource {
  hasRef() {
    return false
  }
}

let mark = null

/** Loads the module on first use, because few applications have attachments. */
function markAsUntransferable(buffer) {
  mark ??= require('node:worker_threads').markAsUntransferable
  mark(buffer)
}

function rethrow(error) {
  throw error
}

module.exports = { Crossing }
