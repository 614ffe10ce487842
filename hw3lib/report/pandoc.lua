-- Run by pandoc.py as `pandoc lua pandoc.lua html|typst < snippets.json`: reads a JSON list of
-- Markdown texts and prints a JSON list of {text} or {error}, one for each, in one process.
-- See https://pandoc.org/lua-filters.html for the functions of `pandoc`.

local target = arg[1]

-- Plain Markdown with mathematics and tables. No raw HTML or TeX and no attributes, so that a
-- string that comes from outside cannot bring markup with it. (Few extensions: each costs time.)
local MARKDOWN = 'markdown_strict-raw_html+tex_math_dollars+pipe_tables+backtick_code_blocks'
  .. '+all_symbols_escapable+intraword_underscores+lists_without_preceding_blankline+startnum+smart'

local OPTIONS = pandoc.WriterOptions {html_math_method = 'mathml', wrap_text = 'wrap-none'}

local function wide(codepoint)
  return codepoint and (codepoint >= 0x2E80 and codepoint <= 0x9FFF
    or codepoint >= 0xF900 and codepoint <= 0xFAFF or codepoint >= 0xFE30 and codepoint <= 0xFE4F
    or codepoint >= 0xFF00 and codepoint <= 0xFF60 or codepoint >= 0x20000)
end

-- Chinese has no blanks: a line break in the source between two of its characters is nothing.
local function join_lines(inlines)
  for i = #inlines - 1, 2, -1 do
    local before, after = inlines[i - 1], inlines[i + 1]
    if inlines[i].t == 'SoftBreak' and before.t == 'Str' and after.t == 'Str'
      and wide(utf8.codepoint(before.text, utf8.offset(before.text, -1)))
      and wide(utf8.codepoint(after.text)) then
      inlines:remove(i)
    end
  end
  return inlines
end

-- A hyphen before a number, where no word or range ends with it, is a minus.
local function minus(str)
  local text = str.text:gsub('^%-(%.?%d)', '−%1'):gsub('([^%w%-.])%-(%.?%d)', '%1−%2')
  return pandoc.Str(text)
end

local function check_link(link)
  if link.target:match '^#figure%-[%d-]+$' or link.target:match '^#table%-[%d-]+$' then
    return  -- a reference, see references.py
  end
  if not link.target:match '^https?://' and not link.target:match '^mailto:' then
    error('a link to ' .. link.target .. '; links go to http, https or mailto addresses', 0)
  end
end

local function no_image()
  error('a picture in Markdown; show pictures with hw3lib.report.show.figure', 0)
end

-- What a reader hears for an equation: its TeX without the commands that only lay it out.
local function spoken(tex)
  tex = tex:gsub('\\begin{%a+%*?}', ''):gsub('\\end{%a+%*?}', ''):gsub('&', ''):gsub('\\\\', '; ')
  tex = tex:gsub('\\left%f[%A]', ''):gsub('\\right%f[%A]', ''):gsub('\\[,;!]', ' ')
  return (tex:gsub('%s+', ' '):gsub('^ ', ''):gsub(' $', ''))
end

local function quoted(text)
  return '"' .. text:gsub('\\', '\\\\'):gsub('"', '\\"') .. '"'
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
  local call = 'math.equation(alt: ' .. quoted(spoken(math.text)) .. ', block: ' .. block .. ', '
    .. typst:gsub('%s+$', '') .. ')'
  local _, lines = math.text:gsub('\\\\', '')
  if lines > 7 then
    call = '{ show math.equation: set block(breakable: true); ' .. call .. ' }'
  end
  equations[key] = pandoc.RawInline('typst', '#' .. call .. ';')
  return equations[key]
end

local function convert(text)
  local document = pandoc.read(text, MARKDOWN)
  document = document:walk {Inlines = join_lines, Str = minus, Link = check_link, Image = no_image}
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
for _, text in ipairs(pandoc.json.decode(io.read 'a', false)) do
  local messages, done, result = pandoc.log.silence(pcall, convert, text)
  local fault = warning(messages)
  if not done then
    fault = tostring(result):gsub('%s*stack traceback:.*', '')
  end
  results:insert(fault and {error = fault} or {text = result})
end
io.write(pandoc.json.encode(results))
