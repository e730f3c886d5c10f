using System.Runtime.InteropServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf;

/// <summary>The kernel refused an operation; the message says what, why and what to do.</summary>
public class BpfException : Exception
{
    /// <summary>An exception for <paramref name="errno"/> (either sign).</summary>
    public BpfException(string message, int errno)
        : base($"{message}: {Errno.NameOf(errno)} ({Marshal.GetPInvokeErrorMessage(Math.Abs(errno))})") => ErrorNumber = Math.Abs(errno);

    private protected BpfException(int errno, string message)
        : base(message) => ErrorNumber = Math.Abs(errno);

    /// <summary>The positive error number.</summary>
    public int ErrorNumber { get; }

    internal static void ThrowIfFailed(int status, string message)
    {
        if (status < 0)
        {
            throw new BpfException(message, status);
        }
    }

    internal static BpfException ForMap(BpfMap map, string operation, int status)
    {
        var hint = -status switch
        {
            Errno.TooBig => $"; the map is full at {map.MaxEntries} entries",
            Errno.Permission => "; root or CAP_BPF is needed",
            _ => "",
        };
        return new BpfException($"Map '{map.Name}' ({map.Kind}, {map.MaxEntries} entries): {operation} failed{hint}", status);
    }
}
