'use strict'

const { stringify } = require('./globals')
const { readOptions } = require('./options')

/** The options of a node, which the application may change. */
class LiveOptions {
  #node
  #place
  // The changeable options, as the addon has them.
  #inForce = ''

  constructor(node, place) {
    this.#node = node
    this.#place = place
  }

  /** Reads all options again before a start. */
  check() {
    const { options } = this.#node
    const address = this.#place.wanted(options)
    const { logger: _, ...read } = readOptions({ ...options, address, logger: undefined })
    Object.assign(options, read)
  }

  /** The addon gets the current options. */
  begin() {
    this.#inForce = inForce(this.#node.options)
  }

  /** Applies `seeds` and `maxPeerNo` if they have changed, then calls `proceed`. */
  takeOver(proceed) {
    const { options, logger } = this.#node
    const wanted = inForce(options)
    if (wanted === this.#inForce) return
    this.#inForce = wanted
    const { address, seeds, maxPeerNo } = options
    try {
      const checked = readOptions({ address, seeds, maxPeerNo, logger })
      options.seeds = checked.seeds
      options.maxPeerNo = checked.maxPeerNo
      options.minPeerNo = Math.min(options.minPeerNo, checked.maxPeerNo)
      this.#inForce = inForce(checked)
      this.#place.look(options, proceed)
    } catch (error) {
      logger.warn(`the change of options is ignored: ${error.message}`)
    }
  }
}

/** The options that can change while a node runs, as text. */
function inForce({ seeds, maxPeerNo }) {
  return stringify([seeds, String(maxPeerNo)])
}

module.exports = { LiveOptions }
