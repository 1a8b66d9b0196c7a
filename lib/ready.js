'use strict'

const { SmokeError, abortError, argumentError, readSignal } = require('./errors')
const { clearTimeout, setTimeout } = require('./globals')
const { readTimeout } = require('./target')

/** Callers that wait for a number of members. */
class Waiters {
  #members
  #waiters = new Set()

  constructor(members) {
    this.#members = members
  }

  /** Resolves once there are `members` members, this node included. */
  wait({ members: count = 2, timeout, ...options } = {}) {
    if (!Number.isSafeInteger(count) || count < 1) {
      const message = `"members" must be a positive integer, not ${String(count)}`
      throw argumentError(RangeError, 'ERR_SMOKE_ARGUMENT', message)
    }
    const ms = timeout === undefined ? undefined : readTimeout(timeout)
    const signal = readSignal(options)
    if (signal?.aborted) return Promise.reject(abortError(signal))
    if (this.#members.size >= count) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const waiter = { count, settle: undefined }
      const onTime = () => {
        const message = `${this.#members.size} of ${count} members were present after ${ms} ms`
        waiter.settle(new SmokeError('ERR_SMOKE_TIMEOUT', message))
      }
      const onAbort = () => waiter.settle(abortError(signal))
      const timer = ms === undefined ? undefined : setTimeout(onTime, ms)
      waiter.settle = (error) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#waiters.delete(waiter)
        if (error === undefined) resolve()
        else reject(error)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
    })
  }

  /** The number of members has grown. */
  look() {
    for (const waiter of [...this.#waiters]) {
      if (this.#members.size >= waiter.count) waiter.settle()
    }
  }

  fail(error) {
    for (const waiter of [...this.#waiters]) waiter.settle(error)
  }
}

module.exports = { Waiters }
