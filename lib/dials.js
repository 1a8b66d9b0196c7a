'use strict'

const { AsyncResource } = require('node:async_hooks')
const { SmokeError, abortError, argumentError, codes } = require('./errors')
const { nextTick } = require('./globals')

const MAX_PORT = 65535

/** What a dial that did not lead to a peer comes to; other codes are the system's. */
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

/** Of those, the ones that say more than their error's code. */
const MESSAGES = {
  FULL: 'this node has as many peers as it accepts',
}

/** The calls of `addPeer` whose outcome is open. */
class Dials {
  #crossing
  #peers
  #open = new Map()
  // Dials that were given up and may still lead to a peer that nobody wants; with the peers before.
  #abandoned = new Map()
  #last = 0

  constructor(crossing, peers) {
    this.#crossing = crossing
    this.#peers = peers
  }

  /** Prepares a dial: `go()` begins it, `fail(error)` gives it up, `promise` tells its outcome. */
  create(address, port, signal, callback) {
    checkArguments(address, port, callback)
    const request = this.#nextRequest()
    const promise = new Promise((resolve, reject) => {
      const bound = callback && AsyncResource.bind(callback, 'SMOKESIGNAL_DIAL')
      this.#open.set(request, { address, port, resolve, reject, callback: bound })
    })
    // An outcome that nobody asks for is no unhandled rejection.
    promise.catch(() => {})
    let before = null
    const fail = (error) => nextTick(() => this.#settle(request, error))
    const go = () => {
      if (signal?.aborted || !this.#open.has(request)) return
      before = this.#peers.list
      this.#crossing.native.addPeer(request, address, Number(port))
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

  /** A dial ended: `peer`, or an error code in the notice. */
  settle({ req: request, code }, peer) {
    const before = this.#abandoned.get(request)
    this.#abandoned.delete(request)
    if (before !== undefined) return this.#giveUp(peer, before)
    const { address, port } = this.#open.get(request) ?? {}
    if (code !== undefined) this.#settle(request, dialError(code, `${address}:${port}`))
    else if (peer === undefined) this.#settle(request, new SmokeError('ERR_SMOKE_CLOSED'))
    else this.#settle(request, null, peer)
  }

  /** Nothing will come of any dial. */
  failAll(error) {
    this.#abandoned.clear()
    for (const request of this.#open.keys()) {
      nextTick(() => this.#settle(request, error))
    }
  }

  /** Closes `peer`, unless it was one before or another dial leads to it. */
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
