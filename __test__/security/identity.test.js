'use strict'

const assert = require('node:assert/strict')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { createNode } = require('../..')

const address = '127.0.0.1'
const secret = randomBytes(32)

function scratch(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-identity-'))
  t.after(() => fs.rmSync(folder, { recursive: true }))
  return path.join(folder, 'node.key')
}

test('an identity in a file is made once, for its owner only, and kept', (t) => {
  const identity = scratch(t)
  const first = createNode({ address, secret, identity })
  const { mode } = fs.statSync(identity)
  assert.equal(mode & 0o777, 0o600)
  assert.match(fs.readFileSync(identity, 'latin1'), /^[0-9a-f]{64}\n$/)
  const again = createNode({ address, secret, identity })
  assert.equal(again.id, first.id)
  assert.deepEqual(fs.readdirSync(path.dirname(identity)), ['node.key'], 'no draft is left')
})

test('an identity that others can read is refused', { skip: process.platform === 'win32' }, (t) => {
  const identity = scratch(t)
  createNode({ address, secret, identity })
  for (const mode of [0o640, 0o604, 0o660]) {
    fs.chmodSync(identity, mode)
    assert.throws(() => createNode({ address, secret, identity }), {
      code: 'ERR_SMOKE_OPTION',
      option: 'identity',
    })
  }
})

test('a file that holds no identity is refused and left alone', (t) => {
  const identity = scratch(t)
  for (const text of [
    '',
    'abc\n',
    `${'0'.repeat(63)}\n`,
    `${'0'.repeat(64)}\n\n`,
    'z'.repeat(64),
  ]) {
    fs.writeFileSync(identity, text, { mode: 0o600 })
    assert.throws(() => createNode({ address, secret, identity }), {
      code: 'ERR_SMOKE_OPTION',
      option: 'identity',
    })
    assert.equal(fs.readFileSync(identity, 'latin1'), text)
  }
})

test('a file that cannot be made is an error with its code', (t) => {
  const identity = path.join(scratch(t), 'node.key')
  assert.throws(() => createNode({ address, secret, identity }), { code: 'ENOENT' })
})

test('the same private key gives the same id, and each node without one another', () => {
  const identity = randomBytes(32)
  const id = (options) => createNode({ address, secret, ...options }).id
  assert.equal(id({ identity }), id({ identity: new Uint8Array(identity), secret: 'other' }))
  assert.notEqual(id(), id())
})

const BAD = [
  [{ secret: '' }, RangeError, 'secret'],
  [{ secret: '   ' }, RangeError, 'secret'],
  [{ secret: 42 }, TypeError, 'secret'],
  [{ secret: {} }, TypeError, 'secret'],
  [{ secret: randomBytes(31) }, RangeError, 'secret'],
  [{ secret: Buffer.alloc(0) }, RangeError, 'secret'],
  [{ identity: randomBytes(32) }, TypeError, 'identity'],
  [{ secret, identity: randomBytes(33) }, RangeError, 'identity'],
  [{ secret, identity: '' }, RangeError, 'identity'],
  [{ secret, identity: 'a\0b' }, RangeError, 'identity'],
  [{ secret, identity: true }, TypeError, 'identity'],
]
for (const [index, [options, Base, option]] of BAD.entries()) {
  test(`a bad ${option} is refused by name, and not shown (${index})`, () => {
    assert.throws(
      () => createNode({ address, ...options }),
      (error) => {
        assert.ok(error instanceof Base)
        assert.deepEqual([error.code, error.option], ['ERR_SMOKE_OPTION', option])
        assert.ok(!error.message.includes('42'))
        return true
      },
    )
  })
}
