using System.Globalization;
using System.Runtime.InteropServices;
using Skep.Cli.Lab.Kernel;

namespace Skep.Cli.Lab;

/// <summary>A process, told apart from a later one with the same id by the moment it started.</summary>
/// <param name="Id">Process id.</param>
/// <param name="StartTime">Clock ticks after boot at which it started (field 22 of /proc/ID/stat).</param>
internal readonly record struct ProcessIdentity(int Id, long StartTime)
{
    /// <summary>Null when there is no such process.</summary>
    internal static ProcessIdentity? Of(int id)
    {
        string stat;
        try
        {
            stat = File.ReadAllText($"/proc/{id}/stat");
        }
        catch (IOException)
        {
            return null; // Gone: that is the answer.
        }

        // The command name stands in brackets and may hold anything, so fields are counted from the last bracket: state is field 3.
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return fields[0] is "Z" or "X" ? null : new ProcessIdentity(id, long.Parse(fields[19], CultureInfo.InvariantCulture));
    }

    internal bool IsAlive => Of(Id) == this;

    /// <summary>Ends the process at once, if it still is the one that was meant.</summary>
    internal void Kill() => Signal(Libc.SIGKILL);

    internal void Terminate() => Signal(Libc.SIGTERM);

    private void Signal(int signal)
    {
        if (IsAlive && Libc.kill(Id, signal) != 0 && Marshal.GetLastPInvokeError() != Libc.ESRCH)
        {
            throw new LabException($"kill {Id}: errno {Marshal.GetLastPInvokeError()}");
        }
    }
}
