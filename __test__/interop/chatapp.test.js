'use strict'

// The ChatApp of smokesignal@0.2.2, byte for byte, on top of this package: four hosts with the
// addresses and the port that are written in it.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { Lan, unavailable } = require('../support/namespaces')
const { Program, killAll } = require('../support/process')
const { quiet } = require('../support/wait')

const ADDRESSES = [100, 101, 102, 103].map((host) => `192.168.2.${host}`)
const PACKAGE = path.join(__dirname, '..', '..', 'index.js')
const ORIGINAL = path.join(
  path.dirname(require.resolve('smokesignal-legacy/package.json')),
  'example/ChatApp/peer.js',
)

/** A tree in which the original's `require('../../index')` finds this package. */
function plant(t) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-chat-'))
  t.after(() => fs.rmSync(root, { recursive: true }))
  const program = path.join(root, 'example/ChatApp/peer.js')
  fs.mkdirSync(path.dirname(program), { recursive: true })
  fs.copyFileSync(ORIGINAL, program)
  fs.symlinkSync(PACKAGE, path.join(root, 'index.js'))
  return program
}

test('the ChatApp of 0.2.2, unchanged: each line appears at the three others once', {
  skip: unavailable() ?? false,
}, async (t) => {
  const program = plant(t)
  assert.deepEqual(fs.readFileSync(program), fs.readFileSync(ORIGINAL))

  const lan = await Lan.create(ADDRESSES)
  const chats = []
  t.after(async () => {
    await killAll(chats)
    await lan.destroy()
  })
  for (const { namespace } of lan.hosts) {
    const chat = new Program([program], { namespace })
    chats.push(chat)
    await chat.until(() => chat.out.includes('Connecting...\n'), 5000, 'the chat has started')
    if (chats.length === 1) continue
    await chat.until(() => chat.out.includes('Happy chatting!\n'), 10000, 'the chat is connected')
  }
  await chats[0].until(() => chats[0].out.includes('Happy chatting!\n'), 5000)
  const before = chats.map((chat) => chat.out.length)
  const said = (chat) => chat.out.slice(before[chats.indexOf(chat)])

  const lines = ADDRESSES.flatMap((address) => [
    `${address} says hello\n`,
    `${address}: ¿qué? 👋\n`,
  ])
  for (const [index, line] of lines.entries()) {
    const speaker = Math.floor(index / 2)
    const listeners = chats.filter((_, host) => host !== speaker)
    chats[speaker].type(line)
    for (const chat of listeners) {
      await chat.until(() => said(chat).endsWith(line), 5000, `"${line.trim()}" is heard`)
    }
  }
  await quiet()

  const others = (host) => lines.filter((line) => !line.startsWith(ADDRESSES[host])).join('')
  assert.deepEqual(
    chats.map(said),
    chats.map((_, host) => others(host)),
  )
  assert.deepEqual(
    chats.map((chat) => ({ err: chat.err, exit: chat.exit })),
    chats.map(() => ({ err: '', exit: null })),
  )
})
