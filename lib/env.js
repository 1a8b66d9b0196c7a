'use strict'

const fs = require('node:fs')
const {
  canonicalHost,
  readAddress,
  readListen,
  readSeedText,
  splitHostPort,
} = require('./addresses')
const { optionError } = require('./errors')

const MAX_PORT = 65535
/** A larger file is no secret; the path is probably wrong. */
const MAX_SECRET_FILE = 4096

/**
 * Reads options from the environment: `SMOKE_ADDRESS`, `SMOKE_PORT`, `SMOKE_LISTEN`, `SMOKE_SEEDS`,
 * `SMOKE_SECRET` and `SMOKE_SECRET_FILE`. Empty and absent variables are ignored.
 */
function optionsFromEnv(env = process.env) {
  const options = {}
  const read = (name, reader) => {
    const text = env[name]?.trim()
    if (text) reader(text, name)
  }
  read('SMOKE_ADDRESS', (text, name) => {
    options.address = named(name, () => readAddress(text, 'address'))
  })
  read('SMOKE_PORT', (text, name) => {
    options.port = readPort(text, name)
  })
  read('SMOKE_LISTEN', (text, name) => {
    options.listen = readListenText(text, name)
  })
  read('SMOKE_SEEDS', (text, name) => {
    const seeds = text.split(/[\s,]+/).filter(Boolean)
    options.seeds = seeds.map((seed) => named(name, () => readSeedText(seed, 'seeds')))
  })
  read('SMOKE_SECRET', (text, name) => {
    options.secret = readSecrets(text, name)
  })
  read('SMOKE_SECRET_FILE', (path, name) => {
    if (options.secret !== undefined) {
      throw bad(RangeError, name, 'is set, and so is SMOKE_SECRET: set one of them')
    }
    options.secret = readSecrets(readFile(path, name), name)
  })
  return options
}

function readPort(text, name) {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= MAX_PORT) return port
  throw bad(RangeError, name, `must be a port from 0 to ${MAX_PORT}, not ${JSON.stringify(text)}`)
}

/** Reads `host:port`, `:port`, or a host alone. */
function readListenText(text, name) {
  const split = splitHostPort(text)
  const host = split === null ? text : split.host || null
  if (host !== null && canonicalHost(host) === null) {
    const sample = `'127.0.0.1:8495', '[::]:8495', ':8495' or an address`
    throw bad(TypeError, name, `must look like ${sample}, not ${JSON.stringify(text)}`)
  }
  return named(name, () => readListen({ host, port: split?.port }, 0))
}

/**
 * Reads one secret per line, at most two: 64 hexadecimal digits are 32 bytes; other text is a
 * passphrase.
 */
function readSecrets(text, name) {
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  const secrets = lines.filter(Boolean).map((line) => {
    return /^[\da-f]{64}$/i.test(line) ? Buffer.from(line, 'hex') : line
  })
  if (secrets.length === 0) throw bad(RangeError, name, 'has no secret in it')
  if (secrets.length > 2) {
    throw bad(RangeError, name, `has ${secrets.length} lines: one secret a line, two at most`)
  }
  return secrets.length === 1 ? secrets[0] : secrets
}

function readFile(path, name) {
  try {
    const { size } = fs.statSync(path)
    if (size <= MAX_SECRET_FILE) return fs.readFileSync(path, 'utf8')
  } catch (cause) {
    const error = bad(RangeError, name, `cannot be read: ${cause.message}`)
    error.cause = cause
    throw error
  }
  throw bad(
    RangeError,
    name,
    `has no secret in it: ${path} is larger than ${MAX_SECRET_FILE} bytes`,
  )
}

/** Makes an error name the variable instead of the option. */
function named(name, read) {
  try {
    return read()
  } catch (error) {
    if (error.code === 'ERR_SMOKE_OPTION') {
      error.message = error.message.replace(/^"[^"]*" option/, name)
      error.option = name
    }
    throw error
  }
}

function bad(Base, name, message) {
  return optionError(Base, name, `${name} ${message}`)
}

module.exports = { optionsFromEnv }
