using System.Net.NetworkInformation;

namespace Skep.Engine;

/// <summary>An interface of this host.</summary>
/// <param name="Index">Its number; never used again by another one.</param>
/// <param name="Name">Its name.</param>
/// <param name="IsLoopback">Whether it carries the host's own traffic only.</param>
public readonly record struct HostInterface(int Index, string Name, bool IsLoopback);

/// <summary>The interfaces of the network namespace the process is in.</summary>
public static class HostInterfaces
{
    /// <summary>All interfaces there are now, ordered by index.</summary>
    /// <remarks>Not from <c>/sys/class/net</c>: that shows the namespace of its mount, not that of the process.</remarks>
    public static IReadOnlyList<HostInterface> List()
    {
        var found = new List<HostInterface>();
        foreach (var candidate in NetworkInterface.GetAllNetworkInterfaces())
        {
            try
            {
                found.Add(new HostInterface(
                    candidate.GetIPProperties().GetIPv4Properties().Index, candidate.Name, candidate.NetworkInterfaceType == NetworkInterfaceType.Loopback));
            }
            catch (NetworkInformationException)
            {
                // Gone between listing and asking.
            }
        }

        found.Sort((a, b) => a.Index.CompareTo(b.Index));
        return found;
    }
}
