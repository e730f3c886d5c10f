using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Skep.Bpf.Asm.Notation;

/// <summary>Walks along one line of assembler text. Blanks between words are of no account.</summary>
internal sealed class LineScanner(string text)
{
    private int _at;

    /// <summary>Column of what comes next, from 1.</summary>
    public int Column
    {
        get
        {
            SkipBlanks();
            return _at + 1;
        }
    }

    public bool AtEnd => Column > text.Length;

    /// <summary>The next character, or NUL at the end.</summary>
    public char Next => AtEnd ? '\0' : text[_at];

    /// <summary>Goes back to a column.</summary>
    public void Return(int column) => _at = column - 1;

    /// <summary>Passes over a token if it comes next. A token that ends in a letter or digit must end a word.</summary>
    public bool Take(string token)
    {
        SkipBlanks();
        if (string.CompareOrdinal(text, _at, token, 0, token.Length) != 0)
        {
            return false;
        }

        var end = _at + token.Length;
        if (IsWordPart(token[^1]) && end < text.Length && IsWordPart(text[end]))
        {
            return false;
        }

        _at = end;
        return true;
    }

    public void Expect(string token)
    {
        if (!Take(token))
        {
            Fail($"'{token}'");
        }
    }

    /// <summary>A name: letters, digits, underscores, points and dollars, no digit first.</summary>
    public string? Word()
    {
        SkipBlanks();
        var end = _at;
        while (end < text.Length && IsWordPart(text[end]))
        {
            end++;
        }

        if (end == _at || char.IsAsciiDigit(text[_at]))
        {
            return null;
        }

        var word = text[_at..end];
        _at = end;
        return word;
    }

    /// <summary>Everything up to a character, which is passed over; null when the line has no such character.</summary>
    public string? Until(char end)
    {
        var stop = text.IndexOf(end, Math.Min(_at, text.Length));
        if (stop < 0)
        {
            return null;
        }

        var part = text[_at..stop];
        _at = stop + 1;
        return part;
    }

    /// <summary>A register: <c>r1</c>, <c>w1</c> for its lower half, or <c>%r1</c>.</summary>
    public bool TryRegister(out byte number, out bool half)
    {
        (number, half) = (0, false);
        SkipBlanks();
        var start = _at;
        var at = start < text.Length && text[start] == '%' ? start + 1 : start;
        if (at >= text.Length || text[at] is not ('r' or 'w'))
        {
            return false;
        }

        var end = at + 1;
        while (end < text.Length && char.IsAsciiDigit(text[end]))
        {
            end++;
        }

        if (end == at + 1 || (end < text.Length && (IsWordPart(text[end]) || text[end] == ':')))
        {
            return false;
        }

        if (!byte.TryParse(text.AsSpan(at + 1, end - at - 1), NumberStyles.None, CultureInfo.InvariantCulture, out number) || number > Register.R10)
        {
            throw new AsmLineException(start + 1, $"expected a register, but there is no '{text[start..end]}': they are r0 to r10");
        }

        half = text[at] == 'w';
        _at = end;
        return true;
    }

    public byte ExpectRegister(bool half, string what = "a register")
    {
        var column = Column;
        if (!TryRegister(out var number, out var isHalf))
        {
            Fail(what + (half ? ", w0 to w10" : ", r0 to r10"));
        }

        if (isHalf != half)
        {
            throw new AsmLineException(column, half
                ? $"expected the 32-bit register w{number}, because the other operand is one"
                : $"expected the 64-bit register r{number}, because the other operand is one");
        }

        return number;
    }

    /// <summary>A number with an optional sign, decimal or 0x. False when none comes next.</summary>
    public bool TryNumber(out AsmNumber number)
    {
        var start = Column - 1;
        var at = start;
        var negative = at < text.Length && text[at] == '-';
        at += at < text.Length && text[at] is '-' or '+' ? 1 : 0;
        while (at > start && at < text.Length && text[at] == ' ')
        {
            at++;
        }

        var hex = at + 1 < text.Length && text[at] == '0' && text[at + 1] is 'x' or 'X';
        var digits = hex ? at + 2 : at;
        var end = digits;
        while (end < text.Length && (hex ? char.IsAsciiHexDigit(text[end]) : char.IsAsciiDigit(text[end])))
        {
            end++;
        }

        number = default;
        if (end == digits || (end < text.Length && IsWordPart(text[end])))
        {
            return false;
        }

        var style = hex ? NumberStyles.AllowHexSpecifier : NumberStyles.None;
        if (!ulong.TryParse(text.AsSpan(digits, end - digits), style, CultureInfo.InvariantCulture, out var magnitude)
            || (negative && magnitude > 1UL << 63))
        {
            throw new AsmLineException(start + 1, $"expected a number of at most 64 bits, not {text[start..end]}");
        }

        number = new AsmNumber(magnitude, negative, hex, start + 1);
        _at = end;
        return true;
    }

    public AsmNumber ExpectNumber(string what)
    {
        if (!TryNumber(out var number))
        {
            Fail(what);
        }

        return number;
    }

    /// <summary>Says what was expected instead of what comes next.</summary>
    [DoesNotReturn]
    public void Fail(string expected)
    {
        SkipBlanks();
        var end = _at;
        while (end < text.Length && !char.IsWhiteSpace(text[end]) && end - _at < 24)
        {
            end++;
        }

        var found = _at >= text.Length ? "the end of the line" : $"'{text[_at..end]}'";
        throw new AsmLineException(_at + 1, $"expected {expected}, found {found}");
    }

    private void SkipBlanks()
    {
        while (_at < text.Length && char.IsWhiteSpace(text[_at]))
        {
            _at++;
        }
    }

    private static bool IsWordPart(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '$';
}
