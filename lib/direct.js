'use strict'

const { EventEmitter } = require('node:events')
const { KINDS } = require('./requests')
const { open, receive, setFilter } = require('./symbols')

/** What is listened for here is what any member may send: one filter for all of them. */
const DIRECT = 0xffff_ffff

const emitLocally = EventEmitter.prototype.emit

/** Hears what other nodes sent to this one alone. Listeners get who it was first, then the arguments. */
class Direct extends EventEmitter {
  #crossing
  // The names that the addon has; null = all.
  #names = null
  // Names that it has still, although nobody listens for them any more.
  #gone = new Set()

  constructor(crossing) {
    super()
    this.#crossing = crossing
    crossing.attach(DIRECT, this)
  }

  on(event, listener) {
    return this.#listen(super.on, event, listener)
  }

  addListener(event, listener) {
    return this.#listen(super.on, event, listener)
  }

  prependListener(event, listener) {
    return this.#listen(super.prependListener, event, listener)
  }

  removeListener(event, listener) {
    super.removeListener(event, listener)
    if (this.listenerCount(event) === 0) {
      if (this.#names?.delete(event)) this.#gone.add(event)
      this.#crossing.narrow(DIRECT)
    }
    return this
  }

  off(event, listener) {
    return this.removeListener(event, listener)
  }

  removeAllListeners(...events) {
    super.removeAllListeners(...events)
    this[open]()
    return this
  }

  /** The addon has forgotten its filters, or is to. */
  [open]() {
    this.#names = null
    this.#crossing.narrow(DIRECT)
  }

  /** An event came from the node that `context` names. */
  [receive](context, event, args) {
    // EventEmitter would throw.
    if (event === 'error' && this.listenerCount('error') === 0) return
    emitLocally.call(this, event, context, ...args)
  }

  [setFilter](native) {
    if (this.#names === null) {
      const names = this.eventNames().filter((name) => typeof name === 'string')
      this.#names = new Set(names)
      native.setFilter(DIRECT, [...KINDS, ...names], 0)
    } else if (this.#gone.size > 0) {
      native.unlisten(DIRECT, [...this.#gone])
    }
    this.#gone.clear()
  }

  #listen(add, event, listener) {
    add.call(this, event, listener)
    if (typeof event === 'string' && this.#names?.has(event) === false) {
      this.#names.add(event)
      if (!this.#gone.delete(event)) this.#crossing.listen(DIRECT, event)
    }
    return this
  }
}

module.exports = { DIRECT, Direct }
