'use strict'

const { SmokeError } = require('./errors')

/** A request that is handled. */
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

  /** Most handlers never look at it. */
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

  /** Nobody waits for the answer any more. */
  abort() {
    this.#isWanted = false
    this.#clock.clearTimeout(this.#timer)
    this.#controller?.abort(unwanted())
  }

  /** The handler is through; returns whether somebody waits for the answer. */
  end() {
    this.#clock.clearTimeout(this.#timer)
    return this.#isWanted && this.#clock.now() < this.#deadline
  }
}

/** What a handler learns of the request. */
class RequestContext {
  #call

  constructor({ from, authenticated }, call) {
    this.from = from
    this.authenticated = authenticated
    this.#call = call
  }

  /** Is aborted when nobody waits for the answer any more. */
  get signal() {
    return this.#call.signal
  }
}

function unwanted() {
  return new SmokeError('ERR_SMOKE_STOPPED', 'nobody waits for the answer any more')
}

module.exports = { Call }
