'use strict'

const { SmokeError, argumentError, codes } = require('./errors')

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
  #open = new Map()
  #last = 0

  constructor(crossing) {
    this.#crossing = crossing
  }

  /** Prepares a dial: `go()` begins it, `fail(error)` gives it up, `promise` tells its outcome. */
  create(address, port, callback) {
    checkArguments(address, port, callback)
    const request = this.#nextRequest()
    const promise = new Promise((resolve, reject) => {
      this.#open.set(request, { address, port, resolve, reject, callback })
    })
    // An outcome that nobody asks for is no unhandled rejection.
    promise.catch(() => {})
    return {
      promise,
      go: () => {
        if (this.#open.has(request)) this.#crossing.native.addPeer(request, address, Number(port))
      },
      fail: (error) => process.nextTick(() => this.#settle(request, error)),
    }
  }

  /** A dial ended: `peer`, or an error code in the notice. */
  settle({ req: request, code }, peer) {
    const { address, port } = this.#open.get(request) ?? {}
    if (code !== undefined) this.#settle(request, dialError(code, `${address}:${port}`))
    else if (peer === undefined) this.#settle(request, new SmokeError('ERR_SMOKE_CLOSED'))
    else this.#settle(request, null, peer)
  }

  /** Nothing will come of any dial. */
  failAll(error) {
    for (const request of this.#open.keys()) {
      process.nextTick(() => this.#settle(request, error))
    }
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
