'use strict'

const { EventEmitter } = require('node:events')
const { argumentError, readSignal } = require('./errors')
const { MAX_DELAY } = require('./requests')
const { ask, drained, wait } = require('./symbols')

/** How requests are made unless they say otherwise; the time is in ms. */
const USUAL = { timeout: 5000, signal: undefined }

/** Makes requests by `ask(name, args, { timeout, signal })`. */
class Asking {
  #ask
  #settings

  constructor(ask, settings = USUAL) {
    this.#ask = ask
    this.#settings = settings
  }

  /** The same, waiting for `ms` milliseconds at most. */
  timeout(ms) {
    return this.#with({ timeout: readTimeout(ms) })
  }

  /** The same, given up when `signal` is aborted. */
  signal(signal) {
    return this.#with({ signal: readSignal({ signal }) })
  }

  /** Makes a request as it was said. */
  [ask](name, args) {
    return this.#ask(readName(name), args, this.#settings)
  }

  #with(changes) {
    return new this.constructor(this.#ask, { ...this.#settings, ...changes })
  }
}

/** Asks certain nodes. */
class Acknowledged extends Asking {
  emitWithAck(name, ...args) {
    return this[ask](name, args)
  }
}

/** Asks any node that handles it. */
class Requester extends Asking {
  request(name, ...args) {
    return this[ask](name, args)
  }
}

/** One node or several, anywhere in the network: `emit` goes to them, `'drain'` is local. */
class Target {
  #send
  #ask
  // The routes that have no room.
  #full = new Set()
  #emitter = new EventEmitter()

  /** `send(message)` returns whether there is room for more; `ask` is as for {@link Asking}. */
  constructor(send, ask) {
    this.#send = send
    this.#ask = ask
  }

  /** Sends an event; after false, wait for 'drain' before you send more. */
  emit(event, ...args) {
    return this.#send([readName(event), ...args])
  }

  emitWithAck(name, ...args) {
    return this.#ask(readName(name), args, USUAL)
  }

  timeout(ms) {
    return new Acknowledged(this.#ask).timeout(ms)
  }

  signal(signal) {
    return new Acknowledged(this.#ask).signal(signal)
  }

  /** These have no room. */
  [wait](routes) {
    for (const route of routes) this.#full.add(route)
  }

  /** One of them has room again, or it is no use to wait for it any more. */
  [drained](route) {
    if (this.#full.delete(route) && this.#full.size === 0) this.#emitter.emit('drain')
  }

  on(event, listener) {
    this.#emitter.on(event, listener)
    return this
  }

  once(event, listener) {
    this.#emitter.once(event, listener)
    return this
  }

  off(event, listener) {
    this.#emitter.off(event, listener)
    return this
  }

  addListener(event, listener) {
    return this.on(event, listener)
  }

  removeListener(event, listener) {
    return this.off(event, listener)
  }
}

/** The name of an event or a request. What begins with U+0000 is this package's own. */
function readName(name) {
  if (typeof name === 'string' && !name.startsWith('\0')) return name
  const message = `an event is a string that does not begin with U+0000, not ${show(name)}`
  throw argumentError(TypeError, 'ERR_SMOKE_BAD_EVENT', message)
}

function readTimeout(ms) {
  if (typeof ms !== 'number') {
    throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', 'a timeout must be a number')
  }
  if (!(ms >= 1 && ms <= MAX_DELAY)) {
    const message = `a timeout must be from 1 to ${MAX_DELAY} ms`
    throw argumentError(RangeError, 'ERR_SMOKE_ARGUMENT', message)
  }
  return ms
}

function show(value) {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

module.exports = { Acknowledged, Requester, Target, USUAL, readName, readTimeout }
