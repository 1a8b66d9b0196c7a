'use strict'

const { SmokeError } = require('./errors')

/** A request to this node while its handler runs. */
class Call {
  #clock
  #deadline
  #controller = null
  #timer = undefined
  #isWanted = true

  constructor(sender, ms, clock) {
    this.#clock = clock
    this.#deadline = clock.now() + ms
    this.context = new RequestContext(sender, this)
  }

  /** Created on first use: most handlers ignore it. */
  get signal() {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#isWanted) {
        const left = this.#deadline - this.#clock.now()
        this.#timer = this.#clock.setTimeout(() => this.abort(), left)
        this.#timer.unref()
      } else {
        this.#controller.abort(unwanted())
      }
    }
    return this.#controller.signal
  }

  /** The sender no longer waits for the answer. */
  abort() {
    this.#isWanted = false
    this.#clock.clearTimeout(this.#timer)
    this.#controller?.abort(unwanted())
  }

  /** The handler has finished. Returns whether the sender still waits for the answer. */
  end() {
    this.#clock.clearTimeout(this.#timer)
    return this.#isWanted && this.#clock.now() < this.#deadline
  }
}

/** A handler's view of its request. */
class RequestContext {
  #call

  constructor({ from, authenticated }, call) {
    this.from = from
    this.authenticated = authenticated
    this.#call = call
  }

  /** Aborted once the sender no longer waits for the answer. */
  get signal() {
    return this.#call.signal
  }
}

function unwanted() {
  return new SmokeError('ERR_SMOKE_STOPPED', 'the sender no longer waits for the answer')
}

module.exports = { Call }
