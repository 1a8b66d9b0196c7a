'use strict'

const { EventEmitter } = require('node:events')
const { KINDS } = require('./requests')
const { open, receive, setFilter } = require('./symbols')

/** The handle that stands for all members: they share one filter. */
const DIRECT = 0xffff_ffff

const emitLocally = EventEmitter.prototype.emit

/**
 * Emits events that other nodes sent to this one alone. Listeners get the sender, then the
 * arguments.
 */
class Direct extends EventEmitter {
  #crossing
  // The names in the addon's filter; null = all.
  #names = null
  // Names still in the filter, although their last listener is gone.
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

  /** The addon has forgotten its filters, or must forget them. */
  [open]() {
    this.#names = null
    this.#crossing.narrow(DIRECT)
  }

  /** An event arrived from the node in `context`. */
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
