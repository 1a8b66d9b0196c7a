'use strict'

/** The promise of `start()`. It knows whether anybody awaits it. */
class StartPromise extends Promise {
  #isAwaited = false

  // `then` returns an ordinary promise.
  static get [Symbol.species]() {
    return Promise
  }

  /** The promise, the functions that settle it, and whether it is awaited. */
  static create() {
    let settle
    const promise = new StartPromise((resolve, reject) => {
      settle = { resolve, reject }
    })
    // A promise that nobody uses must not cause an unhandled rejection.
    promise.whenSettled(noop, noop)
    return {
      ...settle,
      promise,
      get isAwaited() {
        return promise.#isAwaited
      },
    }
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise's own `then`
  then(onFulfilled, onRejected) {
    if (typeof onRejected === 'function') this.#isAwaited = true
    return super.then(onFulfilled, onRejected)
  }

  /** Like `then`, without counting as awaited. */
  whenSettled(onFulfilled, onRejected) {
    super.then(onFulfilled, onRejected)
  }
}

function noop() {}

module.exports = { StartPromise }
