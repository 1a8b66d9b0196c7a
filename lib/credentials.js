'use strict'

const fs = require('node:fs')
const { optionError } = require('./errors')

const KEY_BYTES = 32

/** A network has one secret, or two during a rotation. */
const MAX_SECRETS = 2

/**
 * Reads the options `secret` and `identity`: `{secrets, identity}`, or null without a secret.
 * Reads the identity file, or creates it.
 */
function readCredentials({ secret, identity } = {}) {
  if (secret === undefined || secret === null) {
    if (identity === undefined || identity === null) return null
    throw optionError(TypeError, 'identity', '"identity" option needs the option "secret"')
  }
  return { secrets: readSecrets(secret), identity: readIdentity(identity) }
}

/** One secret, or an array of the next and the current one. */
function readSecrets(secret) {
  if (!Array.isArray(secret)) return [readSecret(secret)]
  if (secret.length === 0 || secret.length > MAX_SECRETS) {
    const message = `"secret" option must be one secret, or [next, current], not ${secret.length}`
    throw optionError(RangeError, 'secret', message)
  }
  const secrets = secret.map(readSecret)
  if (secrets.length === 2 && isSame(...secrets)) {
    const message = '"secret" option has the same secret twice: [next, current] must differ'
    throw optionError(RangeError, 'secret', message)
  }
  return secrets
}

function isSame(one, other) {
  if (one.key === undefined) return one.passphrase === other.passphrase
  return other.key !== undefined && one.key.equals(other.key)
}

function readSecret(secret) {
  if (typeof secret === 'string') {
    if (secret.trim() === '') throw optionError(RangeError, 'secret', '"secret" option is empty')
    // Unicode has several encodings of the same words.
    return { passphrase: secret.normalize('NFC') }
  }
  return { key: readKey(secret, 'secret', 'a string or a Buffer') }
}

function readIdentity(identity) {
  if (identity === undefined || identity === null) return crypto().randomBytes(KEY_BYTES)
  if (typeof identity !== 'string') return readKey(identity, 'identity', 'a path or a Buffer')
  if (identity === '' || identity.includes('\0')) {
    throw optionError(RangeError, 'identity', '"identity" option is not a path')
  }
  return readIdentityFile(identity) ?? createIdentityFile(identity)
}

/** A copy of 32 bytes. Its errors do not show the value, which may be a secret. */
function readKey(value, option, kind) {
  if (!(value instanceof Uint8Array)) {
    throw optionError(TypeError, option, `"${option}" option must be ${kind} of ${KEY_BYTES} bytes`)
  }
  if (value.length !== KEY_BYTES) {
    const message = `"${option}" option must have ${KEY_BYTES} bytes, not ${value.length}`
    throw optionError(RangeError, option, message)
  }
  return Buffer.from(value)
}

/** The key in the file, or null if the file does not exist. */
function readIdentityFile(path) {
  let file
  try {
    file = fs.openSync(path, 'r')
  } catch (error) {
    if (error.code === 'ENOENT') return null
    throw error
  }
  try {
    // On Windows, the mode does not show the file's permissions.
    if (process.platform !== 'win32' && (fs.fstatSync(file).mode & 0o077) !== 0) {
      const message = `the identity in ${path} is readable by others: chmod 600 ${path}`
      throw optionError(RangeError, 'identity', message)
    }
    const text = Buffer.alloc(KEY_BYTES * 2 + 2)
    const length = fs.readSync(file, text, 0, text.length, 0)
    const match = /^([0-9a-f]{64})\n?$/.exec(text.toString('latin1', 0, length))
    if (match === null) {
      throw optionError(RangeError, 'identity', `there is no identity in ${path}`)
    }
    return Buffer.from(match[1], 'hex')
  } finally {
    fs.closeSync(file)
  }
}

/** Writes a new key to the file. If another process was faster, returns that one's key. */
function createIdentityFile(path) {
  const key = crypto().randomBytes(KEY_BYTES)
  const draft = `${path}.${process.pid}.${crypto().randomBytes(6).toString('hex')}`
  const file = fs.openSync(draft, 'wx', 0o600)
  try {
    try {
      fs.writeSync(file, `${key.toString('hex')}\n`)
      fs.fsyncSync(file)
    } finally {
      fs.closeSync(file)
    }
    // A link appears with its whole content and never overwrites a file.
    fs.linkSync(draft, path)
  } catch (error) {
    if (error.code === 'EEXIST') return readIdentityFile(path)
    throw error
  } finally {
    fs.rmSync(draft, { force: true })
  }
  return key
}

/** Loaded when it is needed: a node of an open network starts sooner without. */
function crypto() {
  return require('node:crypto')
}

module.exports = { readCredentials }
