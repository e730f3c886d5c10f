using System.Text;

namespace Skep.Bpf.Programming;

/// <summary>The two ways to write a name: Pascal case in C#, snake case in the kernel.</summary>
internal static class KernelName
{
    /// <summary>The kernel's name for a C# name without <see cref="KernelFieldAttribute"/>: snake case for what begins with a capital, else the name itself.</summary>
    public static string FromCSharp(string name)
    {
        if (!char.IsAsciiLetterUpper(name[0]))
        {
            return name;
        }

        var text = new StringBuilder();
        foreach (var c in name)
        {
            if (char.IsAsciiLetterUpper(c) && text.Length > 0)
            {
                text.Append('_');
            }

            text.Append(char.ToLowerInvariant(c));
        }

        return text.ToString();
    }

    /// <summary>A C# identifier for a kernel name, whatever it contains: letters and digits, a capital in front of each word.</summary>
    public static string ToCSharp(string name)
    {
        var text = new StringBuilder();
        var capital = true;
        foreach (var c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c))
            {
                capital = true;
                continue;
            }

            // Words in capitals, as values of enumerations are, keep only the first.
            text.Append(capital ? char.ToUpperInvariant(c) : IsShouting(name) ? char.ToLowerInvariant(c) : c);
            capital = false;
        }

        return text.Length == 0 ? "Unnamed" : char.IsAsciiDigit(text[0]) ? "N" + text : text.ToString();
    }

    private static bool IsShouting(string name) => !name.Any(char.IsAsciiLetterLower);
}
