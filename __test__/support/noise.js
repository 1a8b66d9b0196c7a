'use strict'

// The dialling end of an encrypted link by hand, for programs that know the secret and do with it
// what no node would. See src/net/secure.rs.

const crypto = require('node:crypto')
const net = require('node:net')
const { Duplex } = require('node:stream')
const { blake2s } = require('./blake2s')

const MAGIC = Buffer.from('SMKS\x01', 'latin1')
const PROTOCOL = Buffer.from('Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s')
const EMPTY = Buffer.alloc(0)
const MOST = 65535 - 16

const hash = (...parts) => blake2s(Buffer.concat(parts))
const hmac = (key, data) => crypto.createHmac('blake2s256', key).update(data).digest()

/** As many keys as asked for. */
function derive(chaining, input, count) {
  const secret = hmac(chaining, input)
  const keys = [EMPTY]
  while (keys.length <= count) {
    keys.push(hmac(secret, Buffer.concat([keys.at(-1), Buffer.from([keys.length])])))
  }
  return keys.slice(1)
}

const CHACHA = 'chacha20-poly1305'
const AES = 'aes-256-gcm'
/** The number that Noise keeps for making the next key. */
const LAST = 2n ** 64n - 1n

class Cipher {
  #suite = CHACHA
  #key
  #count = 0n

  constructor(key) {
    this.#key = key
  }

  get suite() {
    return this.#suite
  }

  #nonce(number) {
    const nonce = Buffer.alloc(12)
    if (this.#suite === AES) nonce.writeBigUInt64BE(number, 4)
    else nonce.writeBigUInt64LE(number, 4)
    return nonce
  }

  seal(plain, associated = EMPTY) {
    return this.#encrypt(plain, associated, this.#count++)
  }

  #encrypt(plain, associated, number) {
    const options = { authTagLength: 16 }
    const cipher = crypto.createCipheriv(this.#suite, this.#key, this.#nonce(number), options)
    cipher.setAAD(associated, { plaintextLength: plain.length })
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  /** Takes the next key, for `suite`. */
  renew(suite = this.#suite) {
    this.#key = this.#encrypt(Buffer.alloc(32), EMPTY, LAST).subarray(0, 32)
    this.#suite = suite
  }

  open(sealed, associated = EMPTY) {
    const options = { authTagLength: 16 }
    const nonce = this.#nonce(this.#count++)
    const cipher = crypto.createDecipheriv(this.#suite, this.#key, nonce, options)
    const body = sealed.subarray(0, -16)
    cipher.setAAD(associated, { plaintextLength: body.length })
    cipher.setAuthTag(sealed.subarray(-16))
    return Buffer.concat([cipher.update(body), cipher.final()])
  }
}

const rawOf = (key) => Buffer.from(key.export({ format: 'jwk' }).x, 'base64url')
const keyOf = (raw) => {
  const jwk = { kty: 'OKP', crv: 'X25519', x: raw.toString('base64url') }
  return crypto.createPublicKey({ key: jwk, format: 'jwk' })
}

/** The id that follows from a public key. */
function idOf(publicKey) {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
  const bits = [...hash(Buffer.from('smokesignal node id 1'), publicKey).subarray(0, 16)]
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('')
  return bits
    .match(/.{1,5}/g)
    .map((five) => alphabet[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('')
}

/** A connection to a node whose network has that secret, as a stream of what it means. */
class NoiseSocket extends Duplex {
  /** What the other side takes this end for. */
  id
  #socket
  #hash = hash(PROTOCOL)
  #chaining
  #cipher
  #own = crypto.generateKeyPairSync('x25519')
  #fleeting = crypto.generateKeyPairSync('x25519')
  #received = EMPTY
  #out = null
  #in = null
  #waiting = null
  /** Whether this end has AES, as nodes since 1.1 may have. */
  #aes
  #hasOffered = false
  #isOffered = false
  /** What came last: nothing, an empty message, or another one. */
  #last = 'nothing'

  constructor(port, host, secret, { aes = false } = {}) {
    super()
    this.#aes = aes
    this.id = idOf(rawOf(this.#own.publicKey))
    this.#chaining = this.#hash
    this.#socket = net.connect({ port, host })
    this.#socket.on('error', (error) => this.destroy(error))
    this.#socket.on('close', () => this.destroy())
    this.#socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes])
      this.#take()
    })
    this.#absorb(MAGIC)
    const [chaining, mixed, key] = derive(
      this.#chaining,
      blake2s(Buffer.from('smokesignal network key 1'), secret),
      3,
    )
    this.#chaining = chaining
    this.#absorb(mixed)
    this.#cipher = new Cipher(key)
    const fleeting = rawOf(this.#fleeting.publicKey)
    this.#absorb(fleeting)
    this.#mix(fleeting)
    this.#socket.write(Buffer.concat([MAGIC, fleeting, this.#seal(EMPTY)]))
  }

  setNoDelay(isOn) {
    this.#socket.setNoDelay(isOn)
  }

  #absorb(bytes) {
    this.#hash = hash(this.#hash, bytes)
  }

  #mix(input) {
    const [chaining, key] = derive(this.#chaining, input, 2)
    this.#chaining = chaining
    this.#cipher = new Cipher(key)
  }

  #share({ privateKey }, raw) {
    this.#mix(crypto.diffieHellman({ privateKey, publicKey: keyOf(raw) }))
  }

  #seal(plain) {
    const sealed = this.#cipher.seal(plain, this.#hash)
    this.#absorb(sealed)
    return sealed
  }

  #open(sealed) {
    const plain = this.#cipher.open(sealed, this.#hash)
    this.#absorb(sealed)
    return plain
  }

  #answered(answer) {
    const theirs = answer.subarray(0, 32)
    this.#absorb(theirs)
    this.#mix(theirs)
    this.#share(this.#fleeting, theirs)
    const lasting = this.#open(answer.subarray(32, 80))
    this.#share(this.#fleeting, lasting)
    this.#open(answer.subarray(80))
    const own = this.#seal(rawOf(this.#own.publicKey))
    this.#share(this.#own, theirs)
    this.#socket.write(Buffer.concat([own, this.#seal(EMPTY)]))
    const [out, back] = derive(this.#chaining, EMPTY, 2)
    this.#out = new Cipher(out)
    this.#in = new Cipher(back)
    this.#waiting?.()
  }

  #take() {
    if (this.#in === null) {
      if (this.#received.length < 96) return
      const answer = this.#received.subarray(0, 96)
      this.#received = this.#received.subarray(96)
      this.#answered(answer)
    }
    while (this.#received.length >= 2) {
      const end = 2 + this.#received.readUInt16BE(0)
      if (this.#received.length < end) return
      const plain = this.#in.open(this.#received.subarray(2, end))
      this.#received = this.#received.subarray(end)
      if (plain.length > 0) {
        this.#last = 'other'
        this.push(plain)
      } else this.#follow()
    }
  }

  /** After an empty message: an offer of AES, the change to it, or only a new key. */
  #follow() {
    const last = this.#last
    if (last === 'nothing') this.#isOffered = true
    this.#last = last === 'other' ? 'empty' : 'other'
    this.#in.renew(last === 'empty' && this.#aes ? AES : undefined)
  }

  /** The ciphers in use: outgoing and incoming. */
  get suites() {
    return [this.#out.suite, this.#in.suite]
  }

  _read() {}

  _write(bytes, _, done) {
    if (this.#out === null) {
      this.#waiting = () => this._write(bytes, _, done)
      return
    }
    const sealed = []
    const announce = (suite) => {
      sealed.push(Buffer.from([0, 16]), this.#out.seal(EMPTY))
      this.#out.renew(suite)
    }
    if (this.#aes && !this.#hasOffered) announce()
    this.#hasOffered = true
    if (this.#aes && this.#isOffered && this.#out.suite !== AES) {
      announce()
      announce(AES)
    }
    for (let at = 0; at < bytes.length; at += MOST) {
      const message = this.#out.seal(bytes.subarray(at, at + MOST))
      const length = Buffer.alloc(2)
      length.writeUInt16BE(message.length)
      sealed.push(length, message)
    }
    this.#socket.write(Buffer.concat(sealed), done)
  }

  _destroy(error, done) {
    this.#socket.destroy()
    done(error)
  }
}

module.exports = { NoiseSocket }
