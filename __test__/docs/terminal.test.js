'use strict'

const assert = require('node:assert/strict')
const { PassThrough, Writable } = require('node:stream')
const { test } = require('node:test')
const { Terminal, printable } = require('../../scripts/chat-terminal')

/** A terminal of `columns` columns that understands what readline writes. */
const ESCAPE = '\x1b'
const TOKEN = new RegExp(`${ESCAPE}\\[\\d*[A-Z]|.`, 'gsu')
const SEQUENCE = new RegExp(`^${ESCAPE}\\[(\\d*)([A-Z])$`)

class Screen extends Writable {
  constructor(columns) {
    super({ decodeStrings: false })
    Object.assign(this, { columns, rows: 24, isTTY: true, lines: [''], row: 0, column: 0 })
  }

  _write(text, _encoding, done) {
    for (const [token] of text.toString().matchAll(TOKEN)) this.#take(token)
    done()
  }

  #take(token) {
    const [, count, code] = SEQUENCE.exec(token) ?? []
    if (code === 'A') this.row = Math.max(0, this.row - Number(count || 1))
    else if (code === 'B') this.row += Number(count || 1)
    else if (code === 'C') this.column += Number(count || 1)
    else if (code === 'D') this.column = Math.max(0, this.column - Number(count || 1))
    else if (code === 'G') this.column = Number(count || 1) - 1
    else if (code === 'J') this.#clearDown()
    else if (code === 'K') this.#put('', Infinity)
    else if (code !== undefined) throw new Error(`unknown sequence ${JSON.stringify(token)}`)
    else if (token === '\r') this.column = 0
    else if (token === '\n') this.#newLine()
    else this.#print(token)
  }

  #print(character) {
    if (this.column === this.columns) this.#newLine()
    this.#put(character, 1)
    this.column += 1
  }

  #put(text, width) {
    const line = this.lines[this.row].padEnd(this.column)
    this.lines[this.row] = line.slice(0, this.column) + text + line.slice(this.column + width)
  }

  #newLine() {
    this.row += 1
    this.column = 0
    while (this.lines.length <= this.row) this.lines.push('')
  }

  #clearDown() {
    this.lines[this.row] = this.lines[this.row].slice(0, this.column)
    this.lines.length = this.row + 1
  }

  get text() {
    return this.lines.map((line) => line.trimEnd()).join('\n')
  }
}

function openTerminal(t) {
  const input = new PassThrough()
  const screen = new Screen(20)
  const terminal = new Terminal({ input, output: screen, terminal: true })
  const lines = []
  terminal.listen({ line: (line) => lines.push(line), end() {} })
  t.after(() => terminal.close())
  const type = (text) =>
    new Promise((resolve) => {
      input.write(text, () => setImmediate(resolve))
    })
  return { terminal, screen, type, lines }
}

const LONG = 'abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklm'
const WRAPPED = `${LONG.slice(0, 20)}\n${LONG.slice(20, 40)}\n${LONG.slice(40)}`

test('a line that spans several rows is drawn once when others speak in between', async (t) => {
  const { terminal, screen, type, lines } = openTerminal(t)
  await type(LONG)
  terminal.show('ben: one')
  terminal.show('ben: two')
  assert.equal(screen.text, `ben: one\nben: two\n${WRAPPED}`)
  await type('\r')
  assert.deepEqual(lines, [LONG])
})

test('the cursor stays in the middle of a line that was interrupted', async (t) => {
  const { terminal, screen, type, lines } = openTerminal(t)
  await type(LONG)
  for (let left = 0; left < 30; left++) await type('\x1b[D')
  terminal.show('ben: a line that is longer than the screen')
  terminal.show('ben: two')
  await type('X')
  const edited = `${LONG.slice(0, 19)}X${LONG.slice(19)}`
  const rows = edited.match(/.{1,20}/g).join('\n')
  assert.equal(screen.text, `ben: a line that is\nlonger than the scre\nen\nben: two\n${rows}`)
  await type('\r')
  assert.deepEqual(lines, [edited])
})

test('text from the network cannot move the cursor, start a line or turn the text around', () => {
  assert.equal(printable('a\x1b[2Jb\r\nc\u202ed\u2028e'), 'a [2Jb c d e')
  assert.equal(printable({ toString: () => 'x'.repeat(50) }, 10), 'x'.repeat(10))
})
