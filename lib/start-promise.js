'use strict'

/** The outcome of `start()`: knows whether anybody awaits it. */
class StartPromise extends Promise {
  #isAwaited = false

  // Promises derived by `then` are ordinary ones.
  static get [Symbol.species]() {
    return Promise
  }

  /** The promise, what settles it, and whether it is awaited. */
  static create() {
    let settle
    const promise = new StartPromise((resolve, reject) => {
      settle = { resolve, reject }
    })
    // An outcome that nobody asks for is no unhandled rejection.
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

  /** Like `then`, but does not count as awaiting. */
  whenSettled(onFulfilled, onRejected) {
    super.then(onFulfilled, onRejected)
  }
}

function noop() {}

module.exports = { StartPromise }
