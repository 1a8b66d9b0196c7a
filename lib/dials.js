'use strict'

const { AsyncResource } = require('node:async_hooks')
const { canonicalHost } = require('./addresses')
const { SmokeError, abortError, argumentError, codes } = require('./errors')
const { nextTick } = require('./globals')

const MAX_PORT = 65535

/** The errors of failed dials. Other codes come from the operating system. */
const FAILURES = {
  REFUSED: 'ERR_SMOKE_REFUSED',
  FULL: 'ERR_SMOKE_REFUSED',
  TIMEOUT: 'ERR_SMOKE_TIMEOUT',
  SECRET: 'ERR_SMOKE_SECRET',
  NETWORK: 'ERR_SMOKE_NETWORK',
  ID: 'ERR_SMOKE_ID',
  NOT_ALLOWED: 'ERR_SMOKE_NOT_ALLOWED',
  SELF: 'ERR_SMOKE_SELF',
  STOPPED: 'ERR_SMOKE_STOPPED',
}

/** Messages that add detail to the error code. */
const MESSAGES = {
  FULL: 'this node has as many peers as it accepts',
}

/** The pending calls of `addPeer`. */
class Dials {
  #crossing
  #peers
  #open = new Map()
  // Aborted dials, which may still produce an unwanted peer, and the peers at the time.
  #abandoned = new Map()
  #last = 0

  constructor(crossing, peers) {
    this.#crossing = crossing
    this.#peers = peers
  }

  /** Prepares a dial: `go()` starts it, `fail(error)` ends it, and `promise` is its outcome. */
  create(address, port, signal, callback) {
    checkArguments(address, port, callback)
    const request = this.#nextRequest()
    const promise = new Promise((resolve, reject) => {
      const bound = callback && AsyncResource.bind(callback, 'SMOKESIGNAL_DIAL')
      this.#open.set(request, { address, port, resolve, reject, callback: bound })
    })
    // A promise that nobody uses must not cause an unhandled rejection.
    promise.catch(() => {})
    let before = null
    const fail = (error) => nextTick(() => this.#settle(request, error))
    const go = () => {
      if (signal?.aborted || !this.#open.has(request)) return
      before = this.#peers.list
      this.#crossing.native.addPeer(request, canonicalHost(address) ?? address, Number(port))
    }
    if (signal !== undefined) {
      this.#heed(signal, promise, () => {
        if (before !== null && this.#open.has(request)) this.#abandoned.set(request, before)
        fail(abortError(signal))
      })
    }
    return { promise, go, fail }
  }

  #heed(signal, promise, onAbort) {
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    const settled = () => signal.removeEventListener('abort', onAbort)
    promise.then(settled, settled)
  }

  /** Ends a dial with `peer`, or with the error code of the notice. */
  settle({ req: request, code }, peer) {
    const before = this.#abandoned.get(request)
    this.#abandoned.delete(request)
    if (before !== undefined) return this.#giveUp(peer, before)
    const { address, port } = this.#open.get(request) ?? {}
    if (code !== undefined) this.#settle(request, dialError(code, `${address}:${port}`))
    else if (peer === undefined) this.#settle(request, new SmokeError('ERR_SMOKE_CLOSED'))
    else this.#settle(request, null, peer)
  }

  /** Fails all pending dials. */
  failAll(error) {
    this.#abandoned.clear()
    for (const request of this.#open.keys()) {
      nextTick(() => this.#settle(request, error))
    }
  }

  /** Closes `peer`, unless it was a peer before or another dial wants it. */
  #giveUp(peer, before) {
    if (peer === undefined || before.includes(peer)) return
    const { remoteAddress, remotePort } = peer
    const dials = [...this.#open.values()]
    const isWanted = dials.some((d) => d.address === remoteAddress && Number(d.port) === remotePort)
    if (!isWanted) peer.close()
  }

  #settle(request, error, peer) {
    const dial = this.#open.get(request)
    if (dial === undefined) return
    this.#open.delete(request)
    if (error === null) {
      dial.resolve(peer)
      dial.callback?.(null, peer)
    } else {
      dial.reject(error)
      dial.callback?.(error)
    }
  }

  #nextRequest() {
    this.#last = (this.#last + 1) >>> 0
    return this.#last
  }
}

function dialError(code, where) {
  const own = FAILURES[code]
  const message = MESSAGES[code] ?? codes[own]
  if (own !== undefined) return new SmokeError(own, `${message}: ${where}`)
  return Object.assign(new Error(`connect ${code} ${where}`), { code })
}

function checkArguments(address, port, callback) {
  if (typeof address !== 'string' || address === '') {
    throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', 'address must be a string')
  }
  const number = typeof port === 'string' && /^\d+$/.test(port) ? Number(port) : port
  if (typeof number !== 'number') {
    throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', 'port must be a number')
  }
  if (!Number.isInteger(number) || number < 1 || number > MAX_PORT) {
    throw argumentError(RangeError, 'ERR_SMOKE_ARGUMENT', `port must be from 1 to ${MAX_PORT}`)
  }
  if (callback !== undefined && typeof callback !== 'function') {
    throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', 'callback must be a function')
  }
}

module.exports = { Dials }
