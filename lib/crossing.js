'use strict'

const { AsyncResource } = require('node:async_hooks')
const { randomBytes, randomInt } = require('node:crypto')
const { setFilter, receive, receiveOne, receiveChunk, receiveLine } = require('./symbols')
const { attach } = require('./attachments')
const { nextTick, now, parse, queueMicrotask, setImmediate } = require('./globals')

/**
 * What the addon hands over was written by others, and it does not look at all of it. These secrets make sure that it
 * is nothing but the values it should be: lists of unproven ones are sealed with them, see src/binding/chunk.rs.
 */
const GUARD = randomInt(2 ** 29, 2 ** 30)
const SEAL = randomBytes(12).toString('base64')

/** How much of the addon's queue is worked off in one turn of the event loop. */
const MAX_CHUNKS = 8
const MAX_MS = 10
/** How many items are dispatched between two looks at the clock, while they take no time. */
const CLOCK_EVERY = 32
/** Items that take this long, in ms, have the clock looked at sooner. */
const SLOW = 1

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
  // Of events with one argument that come as a list: their name, the arguments, the next one.
  #event = ''
  #list = null
  #nextInList = 0
  // From one argument to the next: guards stand between those of sealed lists.
  #step = 1
  // How many sealed lists of the chunk were opened.
  #opened = 0
  // How many items, those of lists included, were dispatched.
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
    this.#native = new NativeNode(() => weak.deref()?.#work(), GUARD, SEAL)
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
    this.#opened = 0
    this.#consumed = 0
    this.#channel = undefined
    this.#buffers = null
    try {
      this.#items = parse(text)
    } catch (error) {
      if (!this.#distrust()) throw error
    }
    return true
  }

  /** Dispatches the chunk at hand; returns false when there was no time for all of it. */
  #dispatch(deadline) {
    const items = this.#items
    if (items === null) return true
    while (this.#list !== null || this.#next < items.length) {
      if (this.#isStale) return this.#rewind()
      if (this.#list === null && items[this.#next] === true) {
        if (!this.#unseal()) return this.#distrust()
        this.#consumed++
        continue
      }
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
    if (Array.isArray(item)) {
      this.#channel?.[receive](item)
    } else if (typeof item === 'number') {
      this.#channel = this.#channels.get(item)
    } else if (typeof item === 'string') {
      this.#event = item
      this.#list = this.#items[this.#next++]
      this.#nextInList = 0
      this.#step = 1
    } else {
      this.#dispatchObject(item)
    }
  }

  #dispatchListed() {
    const argument = this.#list[this.#nextInList]
    this.#nextInList += this.#step
    if (this.#nextInList >= this.#list.length) this.#list = null
    this.#channel?.[receiveOne](this.#event, argument)
  }

  /** Opens the sealed list that is next, unless it is not what it should be; returns whether it is. */
  #unseal() {
    const items = this.#items
    const at = this.#next
    const list = items[at + 2]
    if (!Array.isArray(list)) return false
    for (let index = 1; index < list.length; index += 2) {
      if (list[index] !== GUARD) return false
    }
    const count = (list.length + 1) / 2
    if (items[at + 3] !== `${SEAL}${this.#opened}.${count}`) return false
    this.#opened++
    this.#event = items[at + 1]
    this.#list = list
    this.#nextInList = 0
    this.#step = 2
    this.#next = at + 4
    return true
  }

  #dispatchObject(item) {
    switch (item.t) {
      case 'chunk':
        this.#channel?.[receiveChunk](this.#take(item.n))
        return
      case 'rich': {
        const attachments = this.#take().slice(item.n, item.n + item.k)
        this.#channel?.[receive](attach(item.e, attachments))
        return
      }
      case 'line':
        this.#channel?.[receiveLine](item.d)
        return
      default:
        this.#onNotice(item)
    }
  }

  #take(index) {
    this.#buffers ??= this.#native.take()
    return index === undefined ? this.#buffers : this.#buffers[index]
  }

  /** Gives back what is not what it should be; returns whether it will be better. */
  #distrust() {
    this.#items = null
    this.#list = null
    return this.#native.distrust(this.#consumed)
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

function rethrow(error) {
  throw error
}

module.exports = { Crossing }
