'use strict'

const { optionError } = require('./errors')

const MAX_DELAY = 2 ** 31 - 1
const KIB = 2 ** 10

/** What others can make a node spend: the default, the least and the most of each limit. */
const LIMITS = {
  /** From connection to handshake, in ms. */
  handshakeTimeout: [5000, 100, MAX_DELAY],
  /** From dialling to a connection, in ms. */
  dialTimeout: [3000, 100, MAX_DELAY],
  /** Connections that have not become peers. */
  maxUnconnected: [256, 1, 65536],
  /** The same of one address; those of this machine do not count. */
  maxUnconnectedPerAddress: [4, 1, 65536],
  /** Connections that are accepted; twice as many at once. */
  connectionsPerSecond: [1000, 1, 1e6],
  /** Encrypted handshakes that are computed; twice as many at once. */
  handshakesPerSecond: [200, 1, 1e6],
  /** Bytes that wait for one peer. */
  queuePerPeer: [8 * KIB * KIB, 64 * KIB, KIB ** 3],
  /** Dials that others cause, at the same time. */
  maxDials: [8, 1, 65536],
  /** Dials that others cause; twice as many at once. */
  dialsPerSecond: [4, 0.1, 1e6],
  /** Requests for peers that are taken from one peer. */
  peerRequestsPerSecond: [10, 0.1, 1e6],
  /** Pings that are answered. */
  pongsPerSecond: [10, 0.1, 1e6],
  /** Bytes of one peer's broadcasts that are read to be passed on. */
  relayedBytesPerSecond: [128 * KIB * KIB, KIB, 1e12],
}
const RATE = /PerSecond$/

/** Checks the option `limits` and fills in the defaults. A name that is no limit's is a mistake. */
function readLimits(limits = {}) {
  if (limits === null || typeof limits !== 'object') {
    throw optionError(TypeError, 'limits', `"limits" option must be an object, not ${limits}`)
  }
  const unknown = Object.keys(limits).find((name) => !Object.hasOwn(LIMITS, name))
  if (unknown !== undefined) {
    throw optionError(RangeError, `limits.${unknown}`, `"limits" option has no limit "${unknown}"`)
  }
  const entries = Object.entries(LIMITS).map(([name, [normal, least, most]]) => [
    name,
    readLimit(limits[name] ?? normal, `limits.${name}`, least, most),
  ])
  return Object.fromEntries(entries)
}

function readLimit(given, option, least, most) {
  const value = typeof given === 'string' && /^\d+(?:\.\d+)?$/.test(given) ? Number(given) : given
  if (typeof value !== 'number') {
    throw optionError(TypeError, option, `"${option}" option must be a number, not ${value}`)
  }
  if (!(value >= least && value <= most)) {
    const message = `"${option}" option must be from ${least} to ${most}, not ${value}`
    throw optionError(RangeError, option, message)
  }
  if (!RATE.test(option) && !Number.isInteger(value)) {
    throw optionError(RangeError, option, `"${option}" option must be an integer, not ${value}`)
  }
  return value
}

module.exports = { readLimits }
