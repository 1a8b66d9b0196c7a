'use strict'

// BLAKE2s with a key (RFC 7693), which node:crypto does not have.

const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]
const ORDERS = [
  'ABCDEFGHIJKLMNOP',
  'OKEIJPNGBMACLHFD',
  'LIMAFCPNKODGHBJE',
  'HJDBNMLOCGFKEAPI',
  'JAFHCEKPOBLMGIDN',
  'CMGKALIDENHFPOBJ',
  'MFBPONEKAHGDJCIL',
  'NLHOMBDJFAPEIGCK',
  'GPOJLDAIMCNHBEKF',
  'KCIEHGBFPLJODMNA',
].map((order) => [...order].map((letter) => letter.charCodeAt(0) - 65))
const ROUNDS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
]

const turn = (value, by) => ((value >>> by) | (value << (32 - by))) >>> 0

function mix(v, [a, b, c, d], x, y) {
  for (const [word, first, second] of [
    [x, 16, 12],
    [y, 8, 7],
  ]) {
    v[a] = (v[a] + v[b] + word) >>> 0
    v[d] = turn(v[d] ^ v[a], first)
    v[c] = (v[c] + v[d]) >>> 0
    v[b] = turn(v[b] ^ v[c], second)
  }
}

function compress(state, block, count, isLast) {
  const words = Array.from({ length: 16 }, (_, n) => block.readUInt32LE(4 * n))
  const v = [...state, ...IV]
  v[12] = (v[12] ^ count) >>> 0
  if (isLast) v[14] = ~v[14] >>> 0
  for (const order of ORDERS) {
    for (const [n, at] of ROUNDS.entries()) {
      mix(v, at, words[order[2 * n]], words[order[2 * n + 1]])
    }
  }
  for (let n = 0; n < 8; n++) state[n] = (state[n] ^ v[n] ^ v[n + 8]) >>> 0
}

/** The 32 bytes of BLAKE2s of less than 4 GiB, under a key of up to 32 bytes. */
function blake2s(message, key = Buffer.alloc(0)) {
  const state = [...IV]
  state[0] ^= 0x01010000 ^ (key.length << 8) ^ 32
  const first = Buffer.alloc(key.length > 0 ? 64 : 0)
  key.copy(first)
  const input = Buffer.concat([first, message])
  let at = 0
  for (; at + 64 < input.length; at += 64) {
    compress(state, input.subarray(at, at + 64), at + 64, false)
  }
  const last = Buffer.alloc(64)
  input.copy(last, 0, at)
  compress(state, last, input.length, true)
  const hash = Buffer.alloc(32)
  for (const [n, word] of state.entries()) hash.writeUInt32LE(word >>> 0, 4 * n)
  return hash
}

module.exports = { blake2s }
