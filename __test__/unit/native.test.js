'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { loadBinding, platform } = require('../../lib/native')

test('a missing addon is explained: for which platform, and what to do', () => {
  const cause = new Error('Cannot find module')
  const load = () => {
    throw cause
  }
  assert.throws(
    () => loadBinding(load),
    (error) => {
      assert.equal(error.name, 'SmokeError')
      assert.equal(error.code, 'ERR_SMOKE_NO_BINARY')
      assert.equal(error.cause, cause)
      assert.ok(error.message.includes(platform()))
      assert.match(platform(), new RegExp(`^${process.platform}-${process.arch}`))
      assert.match(error.message, /npm install --include=optional/)
      assert.match(error.message, /npm run build/)
      return true
    },
  )
})

test('the addon is loaded once', () => {
  const binding = {}
  let loads = 0
  const load = () => {
    loads++
    return binding
  }
  assert.equal(loadBinding(load), binding)
  assert.equal(loadBinding(load), binding)
  assert.equal(loads, 1)
})
