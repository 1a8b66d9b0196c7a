'use strict'

const { now, stringify } = require('./globals')
const { Whereabouts, doubts } = require('./whereabouts')

/** How often names are resolved again, in ms: without peers, and with peers. */
const ASK_EVERY = [5000, 60_000]
/** The tolerance of that interval, in ms. */
const SLACK = 2500

/** The resolved addresses of a running node and its seeds. */
class Place {
  #whereabouts
  #logger
  #found = null
  #asking = null
  #askedAt = 0
  // The resolution of 'auto'.
  #chosen = null

  constructor(routeTo, logger) {
    this.#whereabouts = new Whereabouts(routeTo, logger)
    this.#logger = logger
  }

  /** `address`, `listenHost` and `seeds`, for the core. */
  get found() {
    return this.#found
  }

  /** Whether names are being resolved. */
  get isAsking() {
    return this.#asking !== null
  }

  /** The wanted address: 'auto' if the options hold the address chosen for it. */
  wanted({ address }) {
    return address === this.#chosen ? 'auto' : address
  }

  /**
   * Resolves the names in the options, then calls `proceed`: at once without names, else later,
   * unless cancelled.
   */
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

  /** Resolves again if the interval has passed: names may have new addresses. */
  lookAgain(options, isAlone, onChanged) {
    if (this.isAsking || now() - this.#askedAt < ASK_EVERY[isAlone ? 0 : 1] - SLACK) return
    const before = stringify(this.#found)
    this.look(options, () => stringify(this.#found) !== before && onChanged())
  }

  giveUp() {
    this.#asking = null
  }

  /** Warns about likely mistakes, and stores the address chosen for 'auto' in the options. */
  settle(options) {
    const wanted = this.wanted(options)
    for (const doubt of doubts({ ...options, address: wanted }, this.#found)) {
      this.#logger.warn(doubt)
    }
    if (wanted !== 'auto') return
    this.#chosen = this.#found.address
    options.address = this.#chosen
    this.#logger.info(`chose the address ${this.#chosen}`)
  }
}

module.exports = { Place }
