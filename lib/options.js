'use strict'

const { isIP } = require('node:net')
const { isSrv, readAddress, readListen, readSeedHost, readSeedText } = require('./addresses')
const { optionError } = require('./errors')
const { readLimits } = require('./limits')
const { readMetaOption } = require('./record')

const LOG_METHODS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']
const MAX_DELAY = 2 ** 31 - 1
const MAX_PORT = 65535
/** The longest id, in bytes. */
const MAX_ID = 512
const MAX_NETWORK = 64
const MIB = 2 ** 20
const LOOPBACK = '127.0.0.1'

/** Checks the options of `createNode` and fills in the defaults. */
function readOptions(options = {}) {
  if (options === null || typeof options !== 'object') {
    throw optionError(TypeError, 'options', `options must be an object, not ${show(options)}`)
  }
  const logger = readLogger(options.logger || {})
  const port = isSet(options.port) ? readPort(options.port, 'port', 0) : 0
  const [minPeerNo, maxPeerNo] = readPeerNumbers(options, logger)
  const seeds = readSeeds(options.seeds || [], logger)
  const listen = readListen(options.listen, port)
  const address = readOwnAddress(options.address, seeds, listen)
  const network = readNetwork(options.network)
  // As in 0.x, 0 means the default.
  const pingTimeout = readNumber(toNumber(options.pingTimeout) || 3000, 'pingTimeout', 1, MAX_DELAY)
  const maxMessageSize = readInteger(
    toNumber(options.maxMessageSize) ?? 4 * MIB,
    'maxMessageSize',
    1024,
    64 * MIB,
  )
  const [slowReceivers, slowReceiverTimeout] = readSlowReceivers(options)
  const allow = readAllow(options.allow ?? [])
  const limits = readLimits(options.limits)
  const members = readMembers(options.members)
  const meta = readMetaOption(options.meta)
  const numbers = { minPeerNo, maxPeerNo, pingTimeout, maxMessageSize, slowReceiverTimeout }
  const numbered = {
    address,
    port,
    listen,
    seeds,
    network,
    ...numbers,
    slowReceivers,
    allow,
    limits,
  }
  return { ...numbered, members, meta, logger }
}

/** A bit for each method that the application's logger has: trace = 1, … fatal = 32. */
function logLevels(logger) {
  return LOG_METHODS.reduce(
    (mask, method, bit) => mask | (logger[method] === noop ? 0 : 1 << bit),
    0,
  )
}

/** Checks an id from the application. As in 0.x, it may be a number. */
function readId(id) {
  if (typeof id !== 'string' && !Number.isFinite(id)) {
    throw optionError(TypeError, 'id', `"id" must be a string, not ${show(id)}`)
  }
  const text = String(id)
  const length = Buffer.byteLength(text)
  if (length < 1 || length > MAX_ID || !text.isWellFormed()) {
    const message = `"id" must be a text of 1 to ${MAX_ID} bytes, not ${show(text.slice(0, 80))}`
    throw optionError(RangeError, 'id', message)
  }
  return text
}

/** Checks the name of the network. */
function readNetwork(network) {
  if (!isSet(network)) return null
  if (typeof network !== 'string') {
    const message = `"network" option must be a string, not ${show(network)}`
    throw optionError(TypeError, 'network', message)
  }
  const length = Buffer.byteLength(network)
  if (length < 1 || length > MAX_NETWORK || !network.isWellFormed()) {
    const message = `"network" option must be a text of 1 to ${MAX_NETWORK} bytes`
    throw optionError(RangeError, 'network', message)
  }
  return network
}

/** Checks a port number. Like `net`, accepts a string. */
function readPort(port, option, least) {
  return readInteger(toNumber(port), option, least, MAX_PORT)
}

/** The default address: 'auto' with seeds or a listen host, else this machine only. */
function readOwnAddress(address, seeds, listen) {
  if (isSet(address)) return readAddress(address, 'address')
  if (seeds.length > 0 || listen.host !== null) return 'auto'
  listen.host ??= LOOPBACK
  return LOOPBACK
}

function readPeerNumbers(options, logger) {
  const [minPeerNo, maxPeerNo] = [toNumber(options.minPeerNo), toNumber(options.maxPeerNo)]
  const least = isSet(minPeerNo) ? readInteger(minPeerNo, 'minPeerNo', 0, Infinity) : undefined
  if (maxPeerNo === 0) logger.warn('"maxPeerNo" option is 0: the default is used')
  const most =
    maxPeerNo === Infinity
      ? Infinity
      : isSet(maxPeerNo) && maxPeerNo !== 0
        ? readInteger(maxPeerNo, 'maxPeerNo', 1, Infinity)
        : undefined
  if (least > most) {
    const message = `"minPeerNo" option (${least}) must not be greater than "maxPeerNo" (${most})`
    throw optionError(RangeError, 'minPeerNo', message)
  }
  return [least ?? Math.min(3, most ?? 3), most ?? Math.max(5, least ?? 5)]
}

function readMembers(members = true) {
  if (typeof members === 'boolean') return members
  const message = `"members" option must be true or false, not ${show(members)}`
  throw optionError(TypeError, 'members', message)
}

function readSlowReceivers({ slowReceivers = 'wait', slowReceiverTimeout = 10_000 }) {
  if (slowReceivers !== 'wait' && slowReceivers !== 'drop') {
    const message = `"slowReceivers" option must be 'wait' or 'drop', not ${show(slowReceivers)}`
    throw optionError(RangeError, 'slowReceivers', message)
  }
  readNumber(slowReceiverTimeout, 'slowReceiverTimeout', 100, Infinity)
  return [slowReceivers, slowReceiverTimeout]
}

function readSeeds(seeds, logger) {
  if (!Array.isArray(seeds)) {
    const message = `"seeds" option must be an array such as ['host:8495'], not ${show(seeds)}`
    throw optionError(TypeError, 'seeds', message)
  }
  const read = seeds.map((seed, index) => {
    const option = `seeds[${index}]`
    if (typeof seed === 'string') return readSeed(readSeedText(seed, option), option, logger)
    if (seed === null || typeof seed !== 'object') {
      const message = `"${option}" option must be 'host:port' or {address, port}, not ${show(seed)}`
      throw optionError(TypeError, option, message)
    }
    return readSeed(seed, option, logger)
  })
  return read.filter((seed) => seed !== null)
}

/** Reads a seed. Only warns about mistakes that 0.x ignored. */
function readSeed(seed, option, logger) {
  if (typeof seed.address === 'string' && isSrv(seed.address)) {
    // The DNS supplies the ports.
    return { address: seed.address, port: 0 }
  }
  const port = readPort(seed.port, `${option}.port`, 0)
  if (port === 0) {
    logger.warn(`"${option}.port" option is 0: this seed is left out, as nothing can listen there`)
    return null
  }
  if (isSet(seed.address)) return { address: readSeedHost(seed.address, `${option}.address`), port }
  logger.warn(`"${option}.address" option is not set: localhost is used`)
  return { address: 'localhost', port }
}

/** Checks networks such as '10.0.0.0/8', and addresses. */
function readAllow(networks) {
  if (!Array.isArray(networks)) {
    throw optionError(TypeError, 'allow', `"allow" option must be an array, not ${show(networks)}`)
  }
  return networks.map((network, index) => {
    const option = `allow[${index}]`
    if (typeof network !== 'string') {
      const message = `"${option}" option must be a string, not ${show(network)}`
      throw optionError(TypeError, option, message)
    }
    const [, address, prefix] = /^([^/%]*)(?:\/(\d{1,3}))?$/.exec(network) ?? []
    const family = isIP(address ?? '')
    if (family === 0 || Number(prefix ?? 0) > (family === 4 ? 32 : 128)) {
      const message = `"${option}" option must be a network such as '10.0.0.0/8', not ${show(network)}`
      throw optionError(RangeError, option, message)
    }
    return network
  })
}

/** A complete logger, which forwards to the methods that the application's logger has. */
function readLogger(logger) {
  if (logger === null || (typeof logger !== 'object' && typeof logger !== 'function')) {
    throw optionError(TypeError, 'logger', `"logger" option must be an object, not ${show(logger)}`)
  }
  const filled = Object.create(logger)
  for (const method of LOG_METHODS) {
    const value = typeof logger[method] === 'function' ? logger[method].bind(logger) : noop
    Object.defineProperty(filled, method, { value, writable: true, enumerable: true })
  }
  return filled
}

function readInteger(value, option, least, most) {
  readNumber(value, option, least, most)
  if (!Number.isSafeInteger(value)) {
    throw optionError(
      RangeError,
      option,
      `"${option}" option must be an integer, not ${show(value)}`,
    )
  }
  return value
}

function readNumber(value, option, least, most) {
  if (typeof value !== 'number') {
    throw optionError(TypeError, option, `"${option}" option must be a number, not ${show(value)}`)
  }
  if (!(value >= least && value <= most)) {
    const range = most === Infinity ? `at least ${least}` : `from ${least} to ${most}`
    throw optionError(RangeError, option, `"${option}" option must be ${range}, not ${show(value)}`)
  }
  return value
}

/** Converts a numeric string, such as an environment variable. */
function toNumber(value) {
  const isNumber = typeof value === 'string' && /^(?:\d+(?:\.\d+)?|Infinity)$/.test(value)
  return isNumber ? Number(value) : value
}

function isSet(value) {
  return value !== undefined && value !== null
}

function show(value) {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

function noop() {}

module.exports = { logLevels, readId, readOptions, readPort }
