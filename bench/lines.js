'use strict'

const { StringDecoder } = require('node:string_decoder')

/** Takes bytes in any pieces; calls `hear` with each line, parsed. */
exports.lineReader = (hear) => {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  return (chunk) => {
    const lines = (rest + decoder.write(chunk)).split('\n')
    rest = lines.pop()
    for (const line of lines) hear(JSON.parse(line))
  }
}
