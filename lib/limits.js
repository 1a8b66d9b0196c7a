'use strict'

const { optionError } = require('./errors')

const MAX_DELAY = 2 ** 31 - 1
const KIB = 2 ** 10

/** Limits on the cost that others can cause: default, minimum and maximum of each. */
const LIMITS = {
  /** Time from connection to handshake, in ms. */
  handshakeTimeout: [5000, 100, MAX_DELAY],
  /** Time from dialling to connection, in ms. */
  dialTimeout: [3000, 100, MAX_DELAY],
  /** Connections without a handshake. */
  maxUnconnected: [256, 1, 65536],
  /** The same per address, except for addresses of this machine. */
  maxUnconnectedPerAddress: [4, 1, 65536],
  /** Accepted connections per second; bursts may be twice as large. */
  connectionsPerSecond: [1000, 1, 1e6],
  /** Computed encrypted handshakes per second; bursts may be twice as large. */
  handshakesPerSecond: [200, 1, 1e6],
  /** Bytes queued for one peer. */
  queuePerPeer: [8 * KIB * KIB, 64 * KIB, KIB ** 3],
  /** Simultaneous dials caused by others. */
  maxDials: [8, 1, 65536],
  /** Dials per second caused by others; bursts may be twice as large. */
  dialsPerSecond: [4, 0.1, 1e6],
  /** Peer requests per second accepted from one peer. */
  peerRequestsPerSecond: [10, 0.1, 1e6],
  /** Answered pings per second. */
  pongsPerSecond: [10, 0.1, 1e6],
  /** Bytes per second of one peer's broadcasts that are forwarded. */
  relayedBytesPerSecond: [128 * KIB * KIB, KIB, 1e12],
  /** Bytes of broadcasts that are kept for those that miss some; never less than all windows. */
  repairBytes: [32 * KIB * KIB, 16 * KIB * KIB, KIB ** 3],
  /** Nodes that are remembered as members. */
  maxMembers: [16_384, 16, 2 ** 20],
  /** Links to members that this node exchanges much with, beside its peers. */
  maxShortcuts: [16, 0, 1024],
  /** Pending requests of this node. */
  maxRequests: [16_384, 1, 2 ** 20],
  /** Requests being handled. */
  maxHandled: [4096, 1, 2 ** 20],
  /** The same per sender. */
  maxHandledPerNode: [1024, 1, 2 ** 20],
}
const RATE = /PerSecond$/

/** Checks the option `limits` and fills in the defaults. Rejects unknown names. */
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

module.exports = { LIMITS, readLimits }
