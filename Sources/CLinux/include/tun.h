// ioctls of /dev/net/tun (linux/if_tun.h): variadic calls and ioctl numbers, which Swift's importer drops.
// The kernel's own headers stay out of Swift's sight: they would bring a second fd_set with them.
#ifndef SDA_TUN_H
#define SDA_TUN_H

/// TUNSETIFF: makes the tap (or attaches to it, unless IFF_TUN_EXCL is among the flags). -1 and errno on failure.
int sda_tun_attach(int fd, const char *name, unsigned short flags);

/// TUNSETOWNER: the user who may open the tap without CAP_NET_ADMIN.
int sda_tun_set_owner(int fd, unsigned int uid);

/// TUNSETGROUP: the group whose members may open the tap without CAP_NET_ADMIN.
int sda_tun_set_group(int fd, unsigned int gid);

/// TUNSETPERSIST: the tap stays when its last descriptor is closed.
int sda_tun_set_persistent(int fd, int on);

/// TUNSETCARRIER (Linux 5.0): whether the tap shows a carrier. Attaching to it switches the carrier on again.
int sda_tun_set_carrier(int fd, int on);

/// SIOCGIFINDEX by any socket: the number of a link, or -1 with errno.
int sda_link_index(int socket, const char *name);

/// Exclusive persistent taps only: IFF_TUN_EXCL refuses (EBUSY) a name that is taken.
static const unsigned short sda_tun_exclusive = 0x8000;
/// IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE.
static const unsigned short sda_tun_tap_flags = 0x5102;

#endif
