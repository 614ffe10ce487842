-- Run by pandoc.py as `pandoc lua pandoc.lua html|typst < snippets.json`: reads a JSON list of
-- [format, text] and prints a JSON list of {text} or {error}, one for each, in one process.
-- See https://pandoc.org/lua-filters.html for the functions of `pandoc`. Everything is read in its
-- sandbox ({}): an <iframe> would fetch what it names.

local target = arg[1]

-- Markdown with mathematics and tables, no attributes. HTML, in Markdown or as an output, is read
-- into the same tree of headings, lists, tables, links and images: a script has no place in it.
local MARKDOWN = 'markdown_strict+tex_math_dollars+pipe_tables+backtick_code_blocks+strikeout'
  .. '+all_symbols_escapable+intraword_underscores+lists_without_preceding_blankline+startnum+smart'
local OPTIONS = pandoc.WriterOptions {html_math_method = 'mathml', wrap_text = 'wrap-none'}

local function wide(codepoint)
  return codepoint and (codepoint >= 0x2E80 and codepoint <= 0x9FFF
    or codepoint >= 0xF900 and codepoint <= 0xFAFF or codepoint >= 0xFE30 and codepoint <= 0xFE4F
    or codepoint >= 0xFF00 and codepoint <= 0xFF60 or codepoint >= 0x20000)
end

-- Chinese has no blanks: a line break in the source between two of its characters is nothing.
-- A number stays with its unit, and an interval on one line.
local function join_lines(inlines)
  for i = #inlines - 1, 2, -1 do
    local before, after = inlines[i - 1], inlines[i + 1]
    if before.t ~= 'Str' or after.t ~= 'Str' then goto continue end
    if inlines[i].t == 'SoftBreak' and wide(utf8.codepoint(before.text, utf8.offset(before.text, -1)))
      and wide(utf8.codepoint(after.text)) then
      inlines:remove(i)
    elseif inlines[i].t == 'Space' and (before.text:match '[%d%]]$' and (after.text:match '^pp' or after.text:match '^nats')
      or before.text:match '%[[^%]]*,$' and after.text:match '%]') then
      inlines[i] = pandoc.Str '\u{a0}'
    end
    ::continue::
  end
  return inlines
end

-- A hyphen before a number, where no word or range ends with it, is a minus.
local function minus(str)
  local text = str.text:gsub('^%-(%.?%d)', '−%1'):gsub('([^%w%-.])%-(%.?%d)', '%1−%2')
  return pandoc.Str(text)
end

-- A reference within the report, an address, or else the words alone.
local function link(element)
  if element.target:match '^#[%w-]+$' or element.target:match '^https?://' or element.target:match '^mailto:' then
    return pandoc.Link(element.content, element.target)
  end
  return element.content
end

-- pandoc.py puts the image in; what it is called stands in the place of its address.
local function image(element)
  local alt = pandoc.utils.stringify(element.caption)
  local place = 'hw3-image:' .. element.src:gsub('[^%w%-_.~/:%%]', function(c)
    return string.format('%%%02X', c:byte())
  end)
  if target == 'html' then
    return pandoc.Image({pandoc.Str(alt)}, place)
  end
  local spoken = '"' .. alt:gsub('\\', '\\\\'):gsub('"', '\\"') .. '"'
  return pandoc.RawInline('typst', '#inline-image("' .. place .. '", ' .. spoken .. ');')
end

-- What a reader hears for an equation: its TeX without the commands that only lay it out.
local function spoken(tex)
  tex = tex:gsub('\\begin{%a+%*?}', ''):gsub('\\end{%a+%*?}', ''):gsub('&', ''):gsub('\\\\', '; ')
  tex = tex:gsub('\\left%f[%A]', ''):gsub('\\right%f[%A]', ''):gsub('\\[,;!]', ' ')
  return (tex:gsub('%s+', ' '):gsub('^ ', ''):gsub(' $', ''))
end

-- Typst's writer has no place for alternative text, which PDF/UA asks of every equation. Only a
-- long derivation may run on to the next page.
local equations = {}  -- a Pair states each twice
local function equation(math)
  local key = math.mathtype .. math.text
  if equations[key] then
    return equations[key]
  end
  local typst = pandoc.write(pandoc.Pandoc {pandoc.Plain {math}}, 'typst', OPTIONS)
  local block = math.mathtype == 'DisplayMath' and 'true' or 'false'
  local alt = '"' .. spoken(math.text):gsub('\\', '\\\\'):gsub('"', '\\"') .. '"'
  local call = 'math.equation(alt: ' .. alt .. ', block: ' .. block .. ', ' .. typst:gsub('%s+$', '') .. ')'
  local _, lines = math.text:gsub('\\\\', '')
  if lines > 7 then
    call = '{ show math.equation: set block(breakable: true); ' .. call .. ' }'
  end
  equations[key] = pandoc.RawInline('typst', '#' .. call .. ';')
  return equations[key]
end

local filter = {Inlines = join_lines, Str = minus, Link = link, Image = image}
filter.Header = function(header) return pandoc.Para {pandoc.Strong(header.content)} end
filter.Span = function(span) return span.content end
filter.Div = function(div) return div.content end
local function bare(rows)
  for _, row in ipairs(rows) do
    row.attr = pandoc.Attr()
    for _, cell in ipairs(row.cells) do cell.attr = pandoc.Attr() end
  end
end
filter.Table = function(element)
  element.attr = pandoc.Attr()
  bare(element.head.rows)
  for _, body in ipairs(element.bodies) do
    bare(body.head)
    bare(body.body)
  end
  bare(element.foot.rows)
  return element
end
local function read_html(text)  -- without frames, of which pandoc would want the content
  return pandoc.read(text:gsub('<%s*/?%s*[iI][fF][rR][aA][mM][eE]', '<br title='), 'html', nil, {})
end
local function from_html(raw)
  return read_html(raw.text).blocks:walk(filter)
end
local raw = {}
raw.RawBlock = function(element) return element.format == 'html' and from_html(element) or nil end
raw.RawInline = function(element)
  return element.format == 'html' and pandoc.utils.blocks_to_inlines(from_html(element)) or nil
end

local function convert(format, text)
  local document
  if format == 'inline' then  -- as a heading, so that "1. x" does not become a list
    local heading = pandoc.read('# ' .. text:gsub('%s+', ' '), MARKDOWN, nil, {}).blocks[1]
    document = pandoc.Pandoc {pandoc.Plain(heading.content)}
  elseif format == 'html' then
    document = read_html(text)
  else
    document = pandoc.read(text, MARKDOWN, nil, {})
  end
  document = document:walk(filter):walk(raw)
  if target == 'typst' then
    document = document:walk {Math = equation}
  end
  return pandoc.write(document, target, OPTIONS)
end

local function warning(messages)
  for _, message in ipairs(messages) do
    message = pandoc.json.decode(pandoc.json.encode(message))
    if message.verbosity ~= 'INFO' then
      return message.pretty
    end
  end
end

local results = pandoc.List()
for _, snippet in ipairs(pandoc.json.decode(io.read 'a', false)) do
  local messages, done, result = pandoc.log.silence(pcall, convert, snippet[1], snippet[2])
  local fault = warning(messages)
  if not done then
    fault = tostring(result):gsub('%s*stack traceback:.*', '')
  end
  results:insert(fault and {error = fault} or {text = result})
end
io.write(pandoc.json.encode(results))
