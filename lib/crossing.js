'use strict'

const { AsyncResource } = require('node:async_hooks')
const { setFilter, receive, receiveChunk, receiveLine } = require('./symbols')
const { attach } = require('./attachments')
const { nextTick, now, parse, queueMicrotask, setImmediate } = require('./globals')

/** Bounds on the work of one turn of the event loop. */
const MAX_CHUNKS = 8
const MAX_MS = 10
/** How many quick items are dispatched between two checks of the clock. */
const CLOCK_EVERY = 32
/** After items that take this long, in ms, the clock is checked more often. */
const SLOW = 1
/** Marks a list of chunks, in place of the number of arguments. */
const CHUNKS = -1
/** Buffers of at most this size may be shared by several messages (src/binding/parcel.rs). */
const SHARED = 16 * 1024

/**
 * Connects a node with the addon.
 *
 * Inward: the addon rings a doorbell when it has something. We drain chunks of JSON text until
 * nothing is left, and dispatch their items to the channels, or to `onNotice`. A handler that
 * throws does not stop us: its error becomes an uncaught exception, and we go on in the next turn.
 *
 * The addon drops messages without a listener. So channels report here when listeners are added or
 * removed. After an addition, items that were drained under the old filter are rewound and drained
 * again. A removal can wait until the end of the turn.
 */
class Crossing {
  #native
  #onNotice
  #channels = new Map()
  // Channels whose filter in the addon differs from their listeners.
  #changed = new Set()
  // A listener was added after the current items were filtered.
  #isStale = false
  // The current chunk: its items, the next one, the channel it is for, the buffers.
  #items = null
  #next = 0
  // The current list, of events with the same name and number of arguments: the name, the number,
  // all arguments, and the index of the next event's first argument. If the number is negative,
  // they have attachments. If the name is null, they are chunks.
  #event = ''
  #arity = 0
  #list = null
  #nextInList = 0
  // The number of dispatched items, including the events of lists.
  #consumed = 0
  #channel = undefined
  #buffers = null
  // Items until the next check of the clock, and items between two checks.
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
    if (this.#items !== null) this.#isStale = true
    this.#change(channel)
  }

  /** The channel of `handle` listens for `name`, too. Rewinds if messages were filtered out. */
  listen(handle, name) {
    if (!this.#channels.has(handle)) return
    if (this.#native.listen(handle, name) && this.#items !== null) this.#isStale = true
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
      if (this.#items === null && !this.#fetch()) return true
      if (!this.#dispatch(deadline)) {
        // Rewound items do not count as consumed: senders wait for them.
        if (this.#items !== null) this.#rewind()
        return false
      }
    }
    return false
  }

  #fetch() {
    this.#setFilters()
    const text = this.#native.drain()
    if (text === null) return false
    this.#next = 0
    this.#list = null
    this.#consumed = 0
    this.#channel = undefined
    this.#buffers = null
    this.#items = parse(text)
    return true
  }

  /** Dispatches the current chunk. Returns false if the time was too short for all of it. */
  #dispatch(deadline) {
    const items = this.#items
    while (this.#list !== null || this.#next < items.length) {
      if (this.#isStale) return this.#rewind()
      this.#consumed++
      if (this.#list !== null) this.#dispatchListed()
      else this.#dispatchItem(items[this.#next++])
      if (--this.#clockIn <= 0 && this.#isLate(deadline)) return false
    }
    if (this.#isStale) return this.#rewind()
    this.#items = null
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

  #dispatchItem(item) {
    if (typeof item === 'string' || item === null) {
      this.#event = item
      this.#arity = item === null ? CHUNKS : this.#items[this.#next++]
      this.#list = this.#items[this.#next++]
      this.#nextInList = 0
    } else if (typeof item === 'number') {
      this.#channel = this.#channels.get(item)
    } else {
      this.#dispatchObject(item)
    }
  }

  #dispatchListed() {
    if (this.#arity < 0) return this.#dispatchBytes()
    const list = this.#list
    const event = this.#event
    const channel = this.#channel
    const at = this.#nextInList
    const arity = this.#arity
    // An event without arguments takes one place in the list, a zero.
    this.#nextInList += arity || 1
    if (this.#nextInList >= list.length) this.#list = null
    if (channel === undefined) return
    switch (arity) {
      case 0:
        return channel[receive](event)
      case 1:
        return channel[receive](event, list[at])
      case 2:
        return channel[receive](event, list[at], list[at + 1])
      case 3:
        return channel[receive](event, list[at], list[at + 1], list[at + 2])
      default:
        channel[receive](event, ...list.slice(at, at + arity))
    }
  }

  /** Dispatches a chunk, or an event with attachments. */
  #dispatchBytes() {
    const list = this.#list
    const event = this.#event
    const channel = this.#channel
    if (event === null) {
      const chunk = this.#cut(list)
      if (this.#nextInList >= list.length) this.#list = null
      channel?.[receiveChunk](chunk)
      return
    }
    const attachments = []
    for (let left = list[this.#nextInList++]; left > 0; left--) attachments.push(this.#cut(list))
    const first = this.#nextInList
    this.#nextInList += -1 - this.#arity
    const args = list.slice(first, this.#nextInList)
    if (this.#nextInList >= list.length) this.#list = null
    channel?.[receive](event, ...attach(args, attachments))
  }

  /** The bytes at the next place in `list`. */
  #cut(list) {
    const at = this.#nextInList
    this.#nextInList += 3
    this.#buffers ??= this.#takeBuffers()
    const buffer = this.#buffers[list[at]]
    const start = list[at + 1]
    const length = list[at + 2]
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

  #dispatchObject(item) {
    if (item.t === 'line') this.#channel?.[receiveLine](item.d)
    else this.#onNotice(item)
  }

  #rewind() {
    this.#isStale = false
    this.#native.rewind(this.#consumed)
    this.#items = null
    this.#list = null
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
