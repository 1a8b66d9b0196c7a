'use strict'
// The terminal of the chat: what is printed never tears the line that is being typed.

const readline = require('node:readline')

class Terminal {
  /** `input` and `output` are the process's own, except in tests. */
  constructor({ input = process.stdin, output = process.stdout, terminal = output.isTTY } = {}) {
    this.stdin = input
    this.output = output
    this.input = readline.createInterface({ input, output, terminal, prompt: '' })
    // Readline redraws from the row that `prevRows` names, and does not keep it up to date.
    input.prependListener('keypress', () => {
      this.input.prevRows = this.input.getCursorPos().rows
    })
  }

  /** Calls `line` with each line that is entered, and `end` after the last one. */
  listen({ line, end }) {
    this.input.on('line', line)
    this.input.on('SIGINT', () => this.close())
    this.input.on('close', end)
  }

  /** Prints a line above the one that is being typed, which may span several rows. */
  show(text) {
    const { input, output } = this
    if (!input.terminal) return void output.write(`${text}\n`)
    readline.moveCursor(output, 0, -input.getCursorPos().rows)
    readline.cursorTo(output, 0)
    readline.clearScreenDown(output)
    output.write(`${text}\n`)
    if (input.closed) return
    // The rows above belong to `text` now: readline must not redraw them.
    input.prevRows = 0
    input.prompt(true)
  }

  close() {
    this.input.close()
    this.stdin.destroy?.() // a pipe would keep the process alive
  }
}

/** Text from the network, made safe to print: one line, no control characters, bounded. */
function printable(text, most = 2000) {
  return String(text)
    .slice(0, most)
    .replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]+/gu, ' ')
}

module.exports = { Terminal, printable }
