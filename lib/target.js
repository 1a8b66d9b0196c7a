'use strict'

const { EventEmitter } = require('node:events')
const { argumentError, readSignal } = require('./errors')
const { MAX_DELAY } = require('./requests')
const { ask, drained, wait } = require('./symbols')

/** The default settings of requests; the time is in ms. */
const USUAL = { timeout: 5000, signal: undefined }

/** Makes requests with `ask(name, args, { timeout, signal })`. */
class Asking {
  #ask
  #settings

  constructor(ask, settings = USUAL) {
    this.#ask = ask
    this.#settings = settings
  }

  /** The same, with a timeout of `ms` milliseconds. */
  timeout(ms) {
    return this.#with({ timeout: readTimeout(ms) })
  }

  /** The same, cancelled when `signal` is aborted. */
  signal(signal) {
    return this.#with({ signal: readSignal({ signal }) })
  }

  /** Makes a request with these settings. */
  [ask](name, args) {
    return this.#ask(readName(name), args, this.#settings)
  }

  #with(changes) {
    return new this.constructor(this.#ask, { ...this.#settings, ...changes })
  }
}

/** Asks given nodes. */
class Acknowledged extends Asking {
  emitWithAck(name, ...args) {
    return this[ask](name, args)
  }
}

/** Asks any node with a handler. */
class Requester extends Asking {
  request(name, ...args) {
    return this[ask](name, args)
  }
}

/** One or several nodes of the network: `emit` sends to them; `'drain'` is local. */
class Target {
  #send
  #ask
  // Routes without room.
  #full = new Set()
  #emitter = new EventEmitter()

  /** `send(message)` returns whether there is room for more; `ask` is that of {@link Asking}. */
  constructor(send, ask) {
    this.#send = send
    this.#ask = ask
  }

  /** Sends an event. If it returns false, wait for 'drain' before the next one. */
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

  /** Notes routes without room. */
  [wait](routes) {
    for (const route of routes) this.#full.add(route)
  }

  /** Notes that a route has room again, or that waiting for it is useless. */
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

/** Reads the name of an event or a request. Names that begin with U+0000 are reserved. */
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
