namespace Skep.Cli.Output;

/// <summary>Text from outside (packets, files, other processes), made safe for a terminal.</summary>
internal static class Safe
{
    /// <summary>One line: every control character is replaced.</summary>
    public static string Text(string text) => Replace(text, keepLines: false);

    /// <summary>As <see cref="Text"/>, but line breaks stay.</summary>
    public static string Lines(string text) => Replace(text, keepLines: true);

    // Category C holds escapes as well as the invisible marks that turn the direction of text.
    private static string Replace(string text, bool keepLines) => text.Any(IsUnsafe)
        ? string.Create(text.Length, (text, keepLines), static (span, state) =>
        {
            for (var i = 0; i < span.Length; i++)
            {
                var c = state.text[i];
                span[i] = IsUnsafe(c) && !(state.keepLines && c == '\n') ? '\uFFFD' : c;
            }
        })
        : text;

    private static bool IsUnsafe(char c) =>
        char.IsControl(c) || char.GetUnicodeCategory(c) is System.Globalization.UnicodeCategory.Format or System.Globalization.UnicodeCategory.LineSeparator
            or System.Globalization.UnicodeCategory.ParagraphSeparator;
}
