using System.Runtime.CompilerServices;
using System.Text;

namespace Skep.Bpf.Kernel;

/// <summary>Name of a map or program in the kernel: at most 15 of <c>[A-Za-z0-9_.]</c> and a NUL (<c>bpf_obj_name_cpy</c>).</summary>
[InlineArray(Length)]
internal struct ObjectName
{
    internal const int Length = 16;

    private byte _first;

    /// <summary>Cuts the name to what the kernel takes; other characters become underscores.</summary>
    internal static ObjectName From(string name)
    {
        var result = default(ObjectName);
        for (var i = 0; i < Math.Min(name.Length, Length - 1); i++)
        {
            result[i] = char.IsAsciiLetterOrDigit(name[i]) || name[i] is '_' or '.' ? (byte)name[i] : (byte)'_';
        }

        return result;
    }

    public override readonly string ToString()
    {
        ReadOnlySpan<byte> bytes = this;
        var end = bytes.IndexOf((byte)0);
        return Encoding.ASCII.GetString(end < 0 ? bytes : bytes[..end]);
    }
}
