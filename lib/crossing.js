'use strict'

const { AsyncResource } = require('node:async_hooks')
const { setFilter, receive, receiveChunk, receiveLine } = require('./symbols')
const { attach } = require('./attachments')
const { nextTick, now, parse, queueMicrotask, setImmediate } = require('./globals')

/** How much of the addon's queue is worked off in one turn of the event loop. */
const MAX_CHUNKS = 8
const MAX_MS = 10
/** How many items are dispatched between two looks at the clock, while they take no time. */
const CLOCK_EVERY = 32
/** Items that take this long, in ms, have the clock looked at sooner. */
const SLOW = 1
/** Stands for the number of arguments in a list of chunks. */
const CHUNKS = -1
/** Buffers of this size or less may be shared by several messages (src/binding/parcel.rs). */
const SHARED = 16 * 1024

/**
 * The way between a node and the addon.
 *
 * Inward: the addon rings a doorbell when it has something; we drain chunks of JSON text until it
 * has nothing left, and dispatch their items to the channels, or to `onNotice`. A handler that
 * throws stops neither: its error surfaces as an uncaught exception, and we go on in the next turn.
 *
 * The addon drops what nobody listens for. So channels report here when listeners come and go:
 * when one comes, what was drained before under the old filter is given back and drained again;
 * when one goes, that can wait until the end of the turn.
 */
class Crossing {
  #native
  #onNotice
  #channels = new Map()
  // Channels whose filter in the addon is not exactly what they listen for.
  #changed = new Set()
  // A listener came that the items at hand were not filtered for.
  #isStale = false
  // The chunk at hand: its items, the next one, the channel it is for, the buffers.
  #items = null
  #next = 0
  // The list at hand, of events with one name and the same number of arguments each: the name, the
  // number, the arguments of all of them, the first argument of the next event. If the number is
  // negative they have attachments; if the name is null they are chunks.
  #event = ''
  #arity = 0
  #list = null
  #nextInList = 0
  // The number of items, events of lists included, that were dispatched.
  #consumed = 0
  #channel = undefined
  #buffers = null
  // Items until the next look at the clock, and how many there are from one to the next.
  #clockIn = CLOCK_EVERY
  #clockEvery = CLOCK_EVERY
  #lookedAt = 0
  // Listeners run in the context in which the node was created, whatever thread or path delivers.
  #context = new Context('SMOKESIGNAL_NODE')
  #drain = () => this.#work()
  #sync = () => this.#setFilters()

  constructor(NativeNode, onNotice) {
    this.#onNotice = onNotice
    // The addon holds on to its doorbell; through it, it must not hold on to the node.
    const weak = new WeakRef(this)
    this.#native = new NativeNode(() => weak.deref()?.#work())
  }

  get native() {
    return this.#native
  }

  /** Calls a function, as a method of this, in the context of the node's listeners. */
  run(method) {
    return this.#context.runInAsyncScope(method, this)
  }

  /** Works off what came while the addon did not ring. */
  wake() {
    setImmediate(this.#drain)
  }

  /** Dispatches what comes for `handle` to `channel` from now on. */
  attach(handle, channel) {
    this.#channels.set(handle, channel)
    this.#change(channel)
  }

  /** Nothing is to come for `handle` any more. */
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

  /** `channel` listens for something new: it must get everything that was not dispatched yet. */
  widen(handle) {
    const channel = this.#channels.get(handle)
    if (channel === undefined) return
    this.#native.setFilter(handle, null, 3)
    if (this.#items !== null) this.#isStale = true
    this.#change(channel)
  }

  /** The channel of `handle` listens for `name`, too: as for {@link widen}, if it has missed anything. */
  listen(handle, name) {
    if (!this.#channels.has(handle)) return
    if (this.#native.listen(handle, name) && this.#items !== null) this.#isStale = true
  }

  /** `channel` no longer listens for something. */
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

  /** Returns whether nothing is left; false when the turn's budget is used up. */
  #workOff() {
    this.#lookedAt = now()
    const deadline = this.#lookedAt + MAX_MS
    for (let chunks = 0; chunks < MAX_CHUNKS; chunks++) {
      if (this.#items === null && !this.#fetch()) return true
      if (!this.#dispatch(deadline)) {
        // What is given back is not taken for consumed: senders wait for it.
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

  /** Dispatches the chunk at hand; returns false when there was no time for all of it. */
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

  /** Looks at the clock, and decides when to do so next: handlers may be slow. */
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
    // An event without arguments has a zero in the list.
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

  /** A chunk, or an event with attachments. */
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

  /** The bytes at the place that comes next in `list`. */
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
    // Whoever gave a shared one away, with one message, would take the others from their owners.
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

/** Whoever looks for open handles asks whether this is one. */
class Context extends AsyncResource {
  hasRef() {
    return false
  }
}

let mark = null

/** Its module is loaded when it is first needed, as few applications do. */
function markAsUntransferable(buffer) {
  mark ??= require('node:worker_threads').markAsUntransferable
  mark(buffer)
}

function rethrow(error) {
  throw error
}

module.exports = { Crossing }
