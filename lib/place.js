'use strict'

const { now, stringify } = require('./globals')
const { Whereabouts, doubts } = require('./whereabouts')

/** How often it is asked again what names stand for, in ms: while the node has no peer, and otherwise. */
const ASK_EVERY = [5000, 60_000]
/** How exactly the node keeps to that. */
const SLACK = 2500

/** Where a running node and its seeds are, as far as that is known. */
class Place {
  #whereabouts
  #logger
  #found = null
  #asking = null
  #askedAt = 0
  // What 'auto' came to.
  #chosen = null

  constructor(routeTo, logger) {
    this.#whereabouts = new Whereabouts(routeTo, logger)
    this.#logger = logger
  }

  /** `address`, `listenHost` and `seeds`, for the core. */
  get found() {
    return this.#found
  }

  /** Whether the answers are awaited. */
  get isAsking() {
    return this.#asking !== null
  }

  /** The address that was wanted: the one in the options may have been chosen for 'auto'. */
  wanted({ address }) {
    return address === this.#chosen ? 'auto' : address
  }

  /** Finds out, then goes on: at once if the options have no names, or later, unless it is given up. */
  look(options, proceed) {
    this.#askedAt = now()
    const take = (found) => {
      this.#asking = null
      this.#found = found
      proceed()
    }
    const found = this.#whereabouts.find({ ...options, address: this.wanted(options) })
    if (!(found instanceof Promise)) return take(found)
    this.#asking = found
    found.then((answer) => this.#asking === found && take(answer))
  }

  /** Asks again, if it is time to: what names stand for may change. */
  lookAgain(options, isAlone, onChanged) {
    if (this.isAsking || now() - this.#askedAt < ASK_EVERY[isAlone ? 0 : 1] - SLACK) return
    const before = stringify(this.#found)
    this.look(options, () => stringify(this.#found) !== before && onChanged())
  }

  giveUp() {
    this.#asking = null
  }

  /** Says what is likely to be a mistake, and puts into the options what 'auto' has come to. */
  settle(options) {
    const wanted = this.wanted(options)
    for (const doubt of doubts({ ...options, address: wanted }, this.#found)) {
      this.#logger.warn(doubt)
    }
    if (wanted !== 'auto') return
    this.#chosen = this.#found.address
    options.address = this.#chosen
    this.#logger.info(`the address ${this.#chosen} is taken`)
  }
}

module.exports = { Place }
