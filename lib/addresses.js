'use strict'

const { isIP } = require('node:net')
const { URL } = require('node:url')
const { optionError } = require('./errors')

const MAX_PORT = 65535
const MAX_NAME = 253
const NAME = /^[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)*\.?$/u
/** The notation for a list of nodes in the DNS; see RFC 2782. */
const SRV = /^srv:(_[a-z\d-]+\._tcp\.[^\s:/]+)$/i
const HOST_AND_PORT = /^(?:\[([^[\]]+)\]|([^[\]:]*)):(\d{1,5})$/
const LIMITED_BROADCAST = '255.255.255.255'

/**
 * The canonical form of a host: IPv6 addresses in lower case, shortest form, without brackets; IPv4
 * addresses as such, even if given as IPv6. Null if `text` is no host.
 */
function canonicalHost(text) {
  const host = text.replace(/^\[(.*)\]$/, '$1')
  if (isIP(host) === 4) return host
  if (isIP(host) === 6) return host.includes('%') ? host : canonicalV6(host)
  // A host that ends in a number is a malformed IPv4 address.
  const isName = host.length <= MAX_NAME && NAME.test(host) && !/(?:^|\.)\d+\.?$/.test(host)
  return isName ? host : null
}

function canonicalV6(text) {
  const host = new URL(`http://[${text}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(host)
  if (mapped === null) return host
  const [high, low] = mapped.slice(1).map((group) => Number.parseInt(group, 16))
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** Splits `host:port` or `[host]:port`; null if it is neither. An empty host stays empty. */
function splitHostPort(text) {
  const [, bracketed, plain, digits] = HOST_AND_PORT.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > MAX_PORT) return null
  if (bracketed !== undefined && isIP(bracketed) !== 6) return null
  return { host: bracketed ?? plain, port }
}

/** Whether a host is a list of nodes in the DNS. */
function isSrv(host) {
  return SRV.test(host)
}

/** The name to ask the DNS for. */
function srvName(host) {
  return SRV.exec(host)[1]
}

/** Reads the address that others dial: a host, or `'auto'`. */
function readAddress(address, option) {
  const sample = `an address such as '192.168.2.100', a host name or 'auto'`
  if (typeof address !== 'string' || address === '') {
    throw addressError(TypeError, option, `must be ${sample}, not ${show(address)}`)
  }
  if (address === 'auto') return address
  const host = canonicalHost(address)
  if (host !== null) return checkReachable(host, option)
  const split = splitHostPort(address)
  if (split !== null && canonicalHost(split.host) !== null) {
    const message = `must not have a port, as ${show(address)} has: give it by the option "port"`
    throw addressError(TypeError, option, message)
  }
  throw addressError(TypeError, option, `must be ${sample}, not ${show(address)}`)
}

function checkReachable(host, option) {
  if (/^(?:22[4-9]|23\d)\.|^ff[\da-f]{2}:/.test(host) || host === LIMITED_BROADCAST) {
    throw addressError(
      RangeError,
      option,
      `must be the address of one node; ${host} is a multicast or broadcast address`,
    )
  }
  return host
}

/** Reads a seed's host. */
function readSeedHost(host, option) {
  if (typeof host === 'string' && host.startsWith('srv:')) return readSrv(host, option)
  const read = typeof host === 'string' ? canonicalHost(host) : null
  if (read !== null) return checkReachable(read, option)
  const message = `must be an address such as '192.168.2.100' or a host name, not ${show(host)}`
  throw addressError(TypeError, option, message)
}

/** Reads a seed given as one text: `{address, port}`. */
function readSeedText(text, option) {
  if (text.startsWith('srv:')) return { address: readSrv(text, option), port: 0 }
  const split = splitHostPort(text)
  const address = split && canonicalHost(split.host)
  if (address) return { address: checkReachable(address, option), port: split.port }
  const sample = `'host:8495', '[::1]:8495' or 'srv:_smoke._tcp.example.org'`
  const why = isIP(text) === 6 ? ': an IPv6 address needs brackets and a port' : ''
  throw addressError(TypeError, option, `must be ${sample}, not ${show(text)}${why}`)
}

function readSrv(text, option) {
  if (isSrv(text)) return text
  const message = `must look like 'srv:_smoke._tcp.example.org', not ${show(text)}`
  throw addressError(TypeError, option, message)
}

/** Checks the option `listen`; `port` is the port that others dial. */
function readListen(listen, port) {
  if (listen === undefined || listen === null) return { host: null, port: null }
  if (typeof listen !== 'object') {
    throw addressError(TypeError, 'listen', `must be {host, port}, not ${show(listen)}`)
  }
  const own = readListenPort(listen.port)
  if (own === 0 && port !== 0 && port !== undefined) {
    const message = `must be a fixed port: port ${port} cannot be forwarded to any free port`
    throw addressError(RangeError, 'listen.port', message)
  }
  // The option "port" already means any free port.
  return { host: readListenHost(listen.host), port: own || null }
}

function readListenHost(host) {
  if (host === undefined || host === null) return null
  const read = typeof host === 'string' ? canonicalHost(host) : null
  if (read !== null && isIP(read) !== 0) return read
  const sample = `an IP address of this machine, '0.0.0.0' (IPv4 only) or '::' (IPv6 only)`
  throw addressError(TypeError, 'listen.host', `must be ${sample}, not ${show(host)}`)
}

function readListenPort(port) {
  if (port === undefined || port === null) return null
  const number = typeof port === 'string' && /^\d{1,5}$/.test(port) ? Number(port) : port
  if (Number.isInteger(number) && number >= 0 && number <= MAX_PORT) return number
  const Base = typeof number === 'number' ? RangeError : TypeError
  throw addressError(Base, 'listen.port', `must be from 0 to ${MAX_PORT}, not ${show(port)}`)
}

function addressError(Base, option, message) {
  return optionError(Base, option, `"${option}" option ${message}`)
}

function show(value) {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

module.exports = {
  ...{ canonicalHost, isSrv, readAddress, readListen, readSeedHost, readSeedText },
  ...{ splitHostPort, srvName },
}
